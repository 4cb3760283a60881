"""The laws of every `Corruption`."""

from __future__ import annotations

import math

import torch

from deconfound.corruption import Corruption
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.errors import SpecError


def check_corruption(
    corruption: Corruption, dataset: Dataset | None = None, *, severity: float = 0.5, deterministic: bool = False
) -> None:
    """Hold a corruption to its laws.

    - Severity 0 is the identity. A negative, infinite or NaN severity is refused with a one-line `SpecError`.
    - The generator decides: the same state gives the same damage, another one another damage (unless `deterministic`);
      the global generator is not touched.
    - The input, the corruption and the dataset that it is fitted to stay as they are; the fit reads training rows only.
    - Names, shapes and types of the signals, target, ids and environments stay.
    - A step that does not exist is not invented; values are 0 where the mask is False and finite elsewhere.
    - The content of one row does not reach another.
    - Damage is done: some value or mask changes at `severity`.

    Args:
        corruption: not yet fitted.
        dataset: to try it on, with the splits "train" and "valid"; a small one with a vector, a sequence, an image and
            tokens, steps and modalities missing, if left out.
        severity: at which the laws are checked; one that leaves chance its part.
        deterministic: True for a corruption that does not draw anything.

    Raises:
        AssertionError: a broken law, named.
    """
    dataset = _example() if dataset is None else dataset
    before, knobs = dataset.checksum, repr(corruption)
    fitted = corruption.fitted(dataset)
    assert isinstance(fitted, Corruption), f"fitted returns a Corruption; got {type(fitted).__name__}"
    assert repr(corruption) == knobs == repr(fitted), "fitted keeps the knobs and leaves the corruption as it is"
    batch = dataset.batch(torch.arange(len(dataset)))
    copy = _copy(batch)
    state = torch.get_rng_state()
    _check_identity(fitted, batch)
    _check_refusals(fitted, batch)
    damaged = _damaged(fitted, batch, severity, 0)
    assert _equal(copy, batch), "the input batch stays as it is"
    _check_form(batch, damaged)
    assert not _equal(batch, damaged), f"severity {severity} changes something"
    _check_randomness(fitted, batch, damaged, severity, deterministic)
    _check_rows(fitted, batch, severity)
    development = corruption.fitted(dataset.development())
    assert _equal(_damaged(development, batch, severity, 0), damaged), "fitted reads the training rows only"
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    dataset.__dict__.pop("checksum")
    assert dataset.checksum == before, "the dataset stays as it is"


def _check_identity(corruption: Corruption, batch: Batch) -> None:
    for seed in range(2):
        assert _equal(_damaged(corruption, batch, 0.0, seed), batch), "severity 0 is the identity"


def _check_refusals(corruption: Corruption, batch: Batch) -> None:
    for wrong in (-0.1, math.inf, math.nan):
        message = "\n"
        try:
            _damaged(corruption, batch, wrong, 0)
        except SpecError as error:
            message = str(error)
        assert "\n" not in message, f"severity {wrong} is refused with a SpecError of one line"


def _check_form(batch: Batch, damaged: Batch) -> None:
    assert list(damaged.signals) == list(batch.signals), "the modalities keep their names and order"
    for part in ("target", "ids", "env"):
        assert torch.equal(getattr(damaged, part), getattr(batch, part)), f"{part} stays as it is"
    for name, signal in damaged.signals.items():
        given = batch.signals[name]
        same = signal.values.shape == given.values.shape and signal.values.dtype == given.values.dtype
        assert same, f"{name}: values keep shape and type"
        assert not bool((signal.mask & ~given.mask).any()), f"{name}: a step that does not exist is not invented"
        assert bool((signal.values[~signal.mask] == 0).all()), f"{name}: values are 0 where the mask is False"
        assert bool(torch.isfinite(signal.values).all()), f"{name}: values are finite"


def _check_randomness(corruption: Corruption, batch: Batch, damaged: Batch, severity: float, same: bool) -> None:
    assert _equal(_damaged(corruption, batch, severity, 0), damaged), "the same generator state gives the same damage"
    others = [_damaged(corruption, batch, severity, seed) for seed in range(1, 6)]
    equal = all(_equal(other, damaged) for other in others)
    assert equal == same, "another generator state gives the same damage exactly where it is called deterministic"


def _check_rows(corruption: Corruption, batch: Batch, severity: float) -> None:
    half = len(batch) // 2
    turned = torch.cat([torch.arange(half), torch.arange(half, len(batch)).flip(0)])
    first = torch.arange(half)
    one, other = (_damaged(corruption, given, severity, 0).select(first) for given in (batch, batch.select(turned)))
    assert _equal(one, other), "the content of one row does not reach another"


def _damaged(corruption: Corruption, batch: Batch, severity: float, seed: int) -> Batch:
    return corruption(batch, severity, torch.Generator().manual_seed(seed))


def _copy(batch: Batch) -> Batch:
    signals = {name: Signal(signal.values.clone(), signal.mask.clone()) for name, signal in batch.signals.items()}
    return Batch(signals, batch.target.clone(), batch.ids.clone(), batch.env.clone())


def _equal(one: Batch, other: Batch) -> bool:
    parts = all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("target", "ids", "env"))
    return parts and all(
        torch.equal(signal.values, other.signals[name].values) and torch.equal(signal.mask, other.signals[name].mask)
        for name, signal in one.signals.items()
    )


def _example(n: int = 24) -> Dataset:
    """n rows: "text" (T = 5, D = 3) with padding, "voice" (D = 4), "face" 6×6, "words" (T = 5) tokens; with gaps."""
    draw = torch.Generator().manual_seed(20)
    lengths = torch.randint(0, 6, (n, 1), generator=draw)
    here = torch.rand(3, n, 1, generator=draw) < 0.8
    every = torch.ones(n, 5, dtype=torch.bool)
    signals = {
        "text": Signal(torch.randn(n, 5, 3, generator=draw), every).keep(torch.arange(5) < lengths),
        "voice": Signal(10 * torch.randn(n, 1, 4, generator=draw) + 3, every[:, :1]).keep(here[0]),
        "face": Signal(torch.rand(n, 1, 6, 6, generator=draw), every[:, :1]).keep(here[1]),
        "words": Signal(torch.randint(1, 50, (n, 5), generator=draw), every).keep(here[2]),
    }
    split = ["train"] * (n // 2) + ["valid"] * (n // 4) + ["test"] * (n - n // 2 - n // 4)
    metadata = {"id": [str(row) for row in range(n)], "speaker": [row % 3 for row in range(n)]}
    target = torch.randn(n, generator=draw)
    return Dataset.build("laws", Task.regression(), signals, target, metadata, split, environment=("speaker",))
