"""`check_augmentation`: the laws of an augmentation, on a small random batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

import torch

from deconfound.augmentation import Augmentation, LearnedAugmentation
from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, learnable_dataset, random_batch
from deconfound.testing.method import check_method

_ROWS = 12
_DRAWS = 40

Weighted = list[tuple[float, Batch]]


def check_augmentation(
    augmentation: Augmentation,
    *,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    seed: int = 0,
) -> None:
    """Check an augmentation. No state of the caller changes.

    The laws: the weights are not negative and sum to 1; each batch has the original rows in their order, with the same row
    numbers, environments, modalities, shapes and types, and weights of the rows; values are finite, and 0 where the mask is
    False; a row that has a modality keeps one; the generator decides, and the global one is not touched; the original batch
    is not changed; something is changed; what a `LearnedAugmentation` learns is decided by the generator and is in its state;
    ERM with it keeps the laws of a method (`check_method`).

    Args:
        augmentation: one that leaves chance its part.
        modalities: forms of the input.
        task: a regression unless given.
        seed: of the batch.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    task = task or Task.regression()
    rows = random_batch(modalities, task, _ROWS, torch.Generator().manual_seed(seed))
    batch = replace(rows, weight=torch.arange(_ROWS) / ((_ROWS - 1) / 2))
    copy = _copy(batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Backbone.build(modalities, task, hidden=8)
        augmentation.check(backbone)
        if isinstance(augmentation, LearnedAugmentation):
            _check_learning(augmentation, backbone, modalities, task)
        state = torch.get_rng_state()
        draws = [augmentation(batch, backbone, torch.Generator().manual_seed(number)) for number in range(_DRAWS)]
        again = augmentation(batch, backbone, torch.Generator().manual_seed(0))
        assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    assert _equal(batch, copy), "the original batch stays as it is"
    for weighted in draws:
        _check_form(batch, weighted)
    assert _same(draws[0], again), "the same generator state gives the same batches"
    assert not all(_same(draws[0], other) for other in draws[1:]), "another generator state gives other batches"
    _check_reach(batch, draws)
    check_method(
        lambda backbone: RegularizedMethod(ERM(backbone), {}, {"augmentation": deepcopy(augmentation)}),
        modalities=modalities,
        task=task,
        other_views=True,
    )


def _check_learning(
    augmentation: LearnedAugmentation, backbone: Backbone, modalities: Mapping[str, Modality], task: Task
) -> None:
    """Learn, and check that the generator decides what is learned and that a copy takes it over."""
    development = learnable_dataset(modalities, task, torch.Generator().manual_seed(0)).development()
    fresh = deepcopy(augmentation)
    for learner in (augmentation, fresh):
        learner.prepare(backbone)
        learner.check_rows(development)
    states = []
    for _ in range(2):
        augmentation.learn(0, development, backbone, torch.Generator().manual_seed(0))
        states.append({name: value.clone() for name, value in augmentation.state_dict().items()})
    same = all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert same, "the same generator state learns the same"
    fresh.load_state_dict(augmentation.state_dict())
    batch = development.batch("train")
    made = [part(batch, backbone, torch.Generator().manual_seed(1)) for part in (augmentation, fresh)]
    assert _same(*made), "what is learned is in the state: a copy that takes it makes the same batches"
    assert all(isinstance(line, str) for line in augmentation.summary_lines()), "the summary is made of sentences"


def _check_reach(batch: Batch, draws: list[Weighted]) -> None:
    changed = torch.zeros(len(batch), dtype=torch.bool)
    for _, made in (pair for weighted in draws for pair in weighted):
        for name, signal in made.signals.items():
            original = batch.signals[name]
            moved = (signal.values != original.values).flatten(1).any(1)
            changed |= moved | (signal.mask != original.mask).any(1)
    several = torch.stack(list(batch.present.values())).sum(0) >= min(2, len(batch.signals))
    unreached = several & ~changed
    assert not bool(unreached.any()), f"reach: rows {unreached.nonzero().flatten().tolist()} never change"


def _check_form(batch: Batch, weighted: Weighted) -> None:
    weights = [weight for weight, _ in weighted]
    assert min(weights) >= 0, f"weights are not negative; got {weights}"
    assert math.isclose(sum(weights), 1, abs_tol=1e-6), f"the weights sum to 1; got {weights}"
    for _, made in weighted:
        assert torch.equal(made.ids, batch.ids), "the row numbers stay as they are"
        assert torch.equal(made.env, batch.env), "the environments stay as they are"
        like = made.target.shape == batch.target.shape and made.target.dtype == batch.target.dtype
        assert like, f"the target keeps shape and type; got {tuple(made.target.shape)} {made.target.dtype}"
        assert made.weight is not None, "the rows keep their weights"
        assert set(made.signals) == set(batch.signals), "the modalities keep their names"
        before, after = (torch.stack(list(rows.present.values())).any(0) for rows in (batch, made))
        assert bool((after | ~before).all()), "a row that has a modality keeps one"
        for name, signal in made.signals.items():
            _check_signal(name, batch.signals[name], signal)


def _check_signal(name: str, original: Signal, made: Signal) -> None:
    same = made.values.shape == original.values.shape and made.values.dtype == original.values.dtype
    assert same, f"{name}: values keep shape and type"
    assert bool(torch.isfinite(made.values).all()), f"{name}: values are finite"
    assert bool((made.values[~made.mask] == 0).all()), f"{name}: values are 0 where the mask is False"


def _copy(batch: Batch) -> Batch:
    signals = {name: Signal(signal.values.clone(), signal.mask.clone()) for name, signal in batch.signals.items()}
    weight = None if batch.weight is None else batch.weight.clone()
    return Batch(signals, batch.target.clone(), batch.ids.clone(), batch.env.clone(), weight=weight)


def _same(one: Weighted, other: Weighted) -> bool:
    return len(one) == len(other) and all(
        weight == other_weight and _equal(batch, made)
        for (weight, batch), (other_weight, made) in zip(one, other, strict=True)
    )


def _equal(one: Batch, other: Batch) -> bool:
    parts = all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("target", "ids", "env"))
    return parts and all(
        torch.equal(signal.values, other.signals[name].values) and torch.equal(signal.mask, other.signals[name].mask)
        for name, signal in one.signals.items()
    )
