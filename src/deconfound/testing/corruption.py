"""The laws of every `Corruption`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deconfound.corruption import Corruption
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.errors import SpecError

_DRAWS = 200
_MEAN_DRAWS = 16


def check_corruption(
    corruption: Corruption, dataset: Dataset | None = None, *, severity: float = 0.5, deterministic: bool = False
) -> None:
    """Check a corruption.

    - Severity 0 is the identity. A negative, infinite or NaN severity is refused with a one-line `SpecError`.
    - The generator decides: the same state corrupts the same, another state otherwise (unless `deterministic`); the
      global generator is not touched.
    - The input, the corruption and the dataset that it is fitted to stay as they are; the fit reads training rows only.
    - Names, shapes and types of the signals, target, ids and environments stay.
    - A step that does not exist is not invented; values are 0 where the mask is False and finite elsewhere.
    - The content of one row does not reach another.
    - Some value or mask changes at `severity`, and over many draws every row that has a modality which changes at all.
    - The corruption grows with the severity: the mean change over several draws is larger at `severity` than at a half and
      at a quarter of it, and never smaller at the larger of two.

    Args:
        corruption: not yet fitted.
        dataset: to try it on, with the splits "train" and "valid"; by default a small one with a vector, a sequence, an
            image and tokens, in which steps and modalities are missing.
        severity: severity of the checks; one at which the draws differ.
        deterministic: True for a corruption that does not draw anything.

    Raises:
        AssertionError: a broken law, named.
    """
    dataset = _example() if dataset is None else dataset
    before, arguments = dataset.checksum, repr(corruption)
    fitted = corruption.fitted(dataset)
    assert isinstance(fitted, Corruption), f"fitted returns a Corruption; got {type(fitted).__name__}"
    assert repr(corruption) == arguments == repr(fitted), (
        "fitted keeps the arguments and leaves the corruption as it is"
    )
    batch = dataset.batch(torch.arange(len(dataset)))
    copy = _copy(batch)
    state = torch.get_rng_state()
    _check_identity(fitted, batch)
    _check_refusals(fitted, batch)
    corrupted = _corrupt(fitted, batch, severity, 0)
    assert _equal(copy, batch), "the input batch stays as it is"
    _check_form(batch, corrupted)
    assert not _equal(batch, corrupted), f"severity {severity} changes something"
    _check_randomness(fitted, batch, corrupted, severity, deterministic)
    _check_rows(fitted, batch, severity)
    _check_reach(fitted, batch, severity)
    _check_growth(fitted, batch, severity)
    development = corruption.fitted(dataset.development())
    assert _equal(_corrupt(development, batch, severity, 0), corrupted), "fitted reads the training rows only"
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    dataset.__dict__.pop("checksum")
    assert dataset.checksum == before, "the dataset stays as it is"


def _check_identity(corruption: Corruption, batch: Batch) -> None:
    for seed in range(2):
        assert _equal(_corrupt(corruption, batch, 0.0, seed), batch), "severity 0 is the identity"


def _check_refusals(corruption: Corruption, batch: Batch) -> None:
    for wrong in (-0.1, math.inf, math.nan):
        message = "\n"
        try:
            _corrupt(corruption, batch, wrong, 0)
        except SpecError as error:
            message = str(error)
        assert "\n" not in message, f"severity {wrong} is refused with a SpecError of one line"


def _check_form(batch: Batch, corrupted: Batch) -> None:
    assert list(corrupted.signals) == list(batch.signals), "the modalities keep their names and order"
    for part in ("target", "ids", "env"):
        assert torch.equal(getattr(corrupted, part), getattr(batch, part)), f"{part} stays as it is"
    for name, signal in corrupted.signals.items():
        original = batch.signals[name]
        same = signal.values.shape == original.values.shape and signal.values.dtype == original.values.dtype
        assert same, f"{name}: values keep shape and type"
        assert not bool((signal.mask & ~original.mask).any()), f"{name}: a step that does not exist is not invented"
        assert bool((signal.values[~signal.mask] == 0).all()), f"{name}: values are 0 where the mask is False"
        assert bool(torch.isfinite(signal.values).all()), f"{name}: values are finite"


def _check_randomness(corruption: Corruption, batch: Batch, corrupted: Batch, severity: float, same: bool) -> None:
    assert _equal(_corrupt(corruption, batch, severity, 0), corrupted), "the same generator state corrupts the same"
    others = [_corrupt(corruption, batch, severity, seed) for seed in range(1, 6)]
    equal = all(_equal(other, corrupted) for other in others)
    assert equal == same, "another generator state corrupts the same exactly where it is called deterministic"


def _check_rows(corruption: Corruption, batch: Batch, severity: float) -> None:
    half = len(batch) // 2
    turned = torch.cat([torch.arange(half), torch.arange(half, len(batch)).flip(0)])
    first = torch.arange(half)
    one, other = (_corrupt(corruption, rows, severity, 0).select(first) for rows in (batch, batch.select(turned)))
    assert _equal(one, other), "the content of one row does not reach another"


def _check_reach(corruption: Corruption, batch: Batch, severity: float) -> None:
    changed = {name: torch.zeros(len(batch), dtype=torch.bool) for name in batch.signals}
    unreached = torch.ones(len(batch), dtype=torch.bool)
    for seed in range(_DRAWS):
        if seed > _MEAN_DRAWS and not bool(unreached.any()):
            break
        for name, amount in _changes(batch, _corrupt(corruption, batch, severity, seed)).items():
            changed[name] |= amount > 0
        reachable = torch.stack([batch.present[name] & rows.any() for name, rows in changed.items()]).any(0)
        unreached = reachable & ~torch.stack(list(changed.values())).any(0)
    assert not bool(unreached.any()), f"reach: rows {unreached.nonzero().flatten().tolist()} never change"


def _check_growth(corruption: Corruption, batch: Batch, severity: float) -> None:
    ladder = (severity / 4, severity / 2, severity)
    amounts = []
    for step in ladder:
        draws = [_changes(batch, _corrupt(corruption, batch, step, seed)) for seed in range(_MEAN_DRAWS)]
        amounts.append(sum(float(amount.mean()) for draw in draws for amount in draw.values()) / _MEAN_DRAWS)
    grows = amounts[0] <= amounts[1] <= amounts[2] and amounts[0] < amounts[2]
    pairs = ", ".join(f"{amount:.3g} at {step:g}" for step, amount in zip(ladder, amounts, strict=True))
    assert grows, f"growth: a larger severity changes more on average; got {pairs}"


def _changes(batch: Batch, corrupted: Batch) -> dict[str, Tensor]:
    """Modality → (B,) change of each row: its lost steps, and its mean absolute change in standard deviations."""
    changes: dict[str, Tensor] = {}
    for name, signal in batch.signals.items():
        other = corrupted.signals[name]
        lost = (signal.mask & ~other.mask).float().mean(1)
        if signal.values.is_floating_point():
            spread = signal.values.std().clamp(min=1e-6)
            moved = ((other.values - signal.values).abs() / spread).flatten(1).mean(1)
        else:
            moved = (other.values != signal.values).float().flatten(1).mean(1)
        changes[name] = lost + moved
    return changes


def _corrupt(corruption: Corruption, batch: Batch, severity: float, seed: int) -> Batch:
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
    present = torch.rand(3, n, 1, generator=draw) < 0.8
    steps = torch.ones(n, 5, dtype=torch.bool)
    signals = {
        "text": Signal(torch.randn(n, 5, 3, generator=draw), steps).keep(torch.arange(5) < lengths),
        "voice": Signal(10 * torch.randn(n, 1, 4, generator=draw) + 3, steps[:, :1]).keep(present[0]),
        "face": Signal(torch.rand(n, 1, 6, 6, generator=draw), steps[:, :1]).keep(present[1]),
        "words": Signal(torch.randint(1, 50, (n, 5), generator=draw), steps).keep(present[2]),
    }
    split = ["train"] * (n // 2) + ["valid"] * (n // 4) + ["test"] * (n - n // 2 - n // 4)
    metadata = {"id": [str(row) for row in range(n)], "speaker": [row % 3 for row in range(n)]}
    target = torch.randn(n, generator=draw)
    return Dataset.build("laws", Task.regression(), signals, target, metadata, split, environment=("speaker",))
