"""`check_augmentation`: the laws of an augmentation, on a small random batch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from deconfound.augmentation import Augmentation
from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, random_batch
from deconfound.testing.method import check_method

_ROWS = 12

Weighted = list[tuple[float, Batch]]


def check_augmentation(
    augmentation: Augmentation,
    *,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    seed: int = 0,
) -> None:
    """Check an augmentation. No state of the caller changes.

    The laws: the weights are not negative and sum to 1; each batch has the given rows in their order, with the same row
    numbers, environments, modalities, shapes and types; values are finite, and 0 where the mask is False; a row that has a
    modality keeps one; the generator decides, and the global one is not touched; the given batch is not changed; something
    is changed; ERM with it keeps the laws of a method (`check_method`).

    Args:
        augmentation: one that leaves chance its part.
        modalities: forms of the input.
        task: a regression unless given.
        seed: of the batch.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    task = task or Task.regression()
    batch = random_batch(modalities, task, _ROWS, torch.Generator().manual_seed(seed))
    copy = _copy(batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Backbone.build(modalities, task, hidden=8)
        augmentation.check(backbone)
        state = torch.get_rng_state()
        drawn = [augmentation(batch, backbone, torch.Generator().manual_seed(each)) for each in range(6)]
        again = augmentation(batch, backbone, torch.Generator().manual_seed(0))
        assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    assert _equal(batch, copy), "the given batch stays as it is"
    for weighted in drawn:
        _check_form(batch, weighted)
    assert _same(drawn[0], again), "the same generator state gives the same batches"
    assert not all(_same(drawn[0], other) for other in drawn[1:]), "another generator state gives other batches"
    assert not all(_same([(1.0, batch)], weighted) for weighted in drawn), "something is changed"
    check_method(
        lambda given: RegularizedMethod(ERM(given), {}, {"augmentation": augmentation}),
        modalities=modalities,
        task=task,
    )


def _check_form(batch: Batch, weighted: Weighted) -> None:
    weights = [weight for weight, _ in weighted]
    assert min(weights) >= 0, f"weights are not negative; got {weights}"
    assert math.isclose(sum(weights), 1, abs_tol=1e-6), f"the weights sum to 1; got {weights}"
    for _, made in weighted:
        assert torch.equal(made.ids, batch.ids), "the row numbers stay as they are"
        assert torch.equal(made.env, batch.env), "the environments stay as they are"
        like = made.target.shape == batch.target.shape and made.target.dtype == batch.target.dtype
        assert like, f"the target keeps shape and type; got {tuple(made.target.shape)} {made.target.dtype}"
        assert set(made.signals) == set(batch.signals), "the modalities keep their names"
        had, have = (torch.stack(list(each.present.values())).any(0) for each in (batch, made))
        assert bool((have | ~had).all()), "a row that has a modality keeps one"
        for name, signal in made.signals.items():
            _check_signal(name, batch.signals[name], signal)


def _check_signal(name: str, given: Signal, made: Signal) -> None:
    same = made.values.shape == given.values.shape and made.values.dtype == given.values.dtype
    assert same, f"{name}: values keep shape and type"
    assert bool(torch.isfinite(made.values).all()), f"{name}: values are finite"
    assert bool((made.values[~made.mask] == 0).all()), f"{name}: values are 0 where the mask is False"


def _copy(batch: Batch) -> Batch:
    signals = {name: Signal(signal.values.clone(), signal.mask.clone()) for name, signal in batch.signals.items()}
    return Batch(signals, batch.target.clone(), batch.ids.clone(), batch.env.clone())


def _same(one: Weighted, other: Weighted) -> bool:
    return len(one) == len(other) and all(
        weight == there and _equal(batch, made) for (weight, batch), (there, made) in zip(one, other, strict=True)
    )


def _equal(one: Batch, other: Batch) -> bool:
    parts = all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("target", "ids", "env"))
    return parts and all(
        torch.equal(signal.values, other.signals[name].values) and torch.equal(signal.mask, other.signals[name].mask)
        for name, signal in one.signals.items()
    )
