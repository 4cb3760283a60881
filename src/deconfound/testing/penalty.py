"""`check_penalty`: the laws of a penalty, on small random batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.method import Loss, Method
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.penalty import Penalty
from deconfound.testing.examples import MODALITIES, random_batch
from deconfound.testing.loss import check_learning
from deconfound.testing.method import check_method

_ROWS = 48
_ENVIRONMENTS = 3
_SMALL = 0.1


def check_penalty(
    make: Callable[[Backbone, int], Penalty],
    *,
    method: Callable[[Backbone], Method] = ERM,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    pairs_rows: bool = False,
    numbers_environments: bool = False,
    other_views: bool = False,
    seed: int = 0,
) -> None:
    """Check a penalty on a method. No state of the caller changes.

    The laws: the method with the penalty keeps the laws of a method (`check_method`), so no parameter is idle, every set of
    absent modalities gives finite losses and gradients, and the state can be saved and loaded; the penalty is one finite
    number, also where an environment has one row, all labels are equal, or the arithmetic is bfloat16; what is added to the
    loss is the weight times that number; it has a gradient for the method; features of absent modalities do not count;
    neither the order of the rows nor the numbers of the environments matter; with a tenth of the weight, twenty steps on a
    learnable toy lower the risk by a tenth; the loss and the batch are not changed; it
    draws no random numbers, and in eval mode it keeps its state.

    Args:
        make: backbone of the method and E → penalty, such as the class itself. A weight of 0 has no gradient to check.
        method: backbone → the method that it joins.
        modalities: forms of the input.
        task: of the method; a regression unless given.
        pairs_rows: True for a penalty that compares two halves of each environment, its odd and its even rows. Only rows of
            different environments then change places, and the rows of each keep their order.
        numbers_environments: True for a penalty that learns something of each environment, such as a classifier that
            names them. Environments then keep their numbers.
        other_views: as in `check_method`.
        seed: of the weights and the batches.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    task = task or Task.regression()
    generator = torch.Generator().manual_seed(seed)

    def build(backbone: Backbone) -> RegularizedMethod:
        inner = method(backbone)
        return RegularizedMethod(inner, {"penalty": make(inner.backbone, _ENVIRONMENTS)}, {})

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        composed = build(Backbone.build(modalities, task, hidden=8))
        (penalty,) = composed.penalties.values()
        assert isinstance(penalty, Penalty), f"make returns a Penalty; got {type(penalty).__name__}"
        rows = random_batch(modalities, task, _ROWS, generator)
        batch = replace(rows, env=torch.arange(_ROWS) // task.outputs % _ENVIRONMENTS)
        composed.eval()
        _check_purity(composed, penalty, batch)
        _check_absent_features(composed, penalty, batch)
        _check_order(composed, penalty, batch, pairs_rows)
        if not numbers_environments:
            _check_numbers(composed, penalty, batch)
        _check_gradient(composed, penalty, batch)
        for what, hard_batch in _hard_batches(batch):
            _check_number(composed, penalty, hard_batch, what)
        composed.eval()
        _check_weight(composed, penalty, batch)
        _check_learning(build(Backbone.build(modalities, task, hidden=8)), modalities, task, generator)
    check_method(build, modalities=modalities, task=task, other_views=other_views, learns=False, seed=seed)


def _hard_batches(batch: Batch) -> Iterator[tuple[str, Batch]]:
    """Unusual batches that occur in training."""
    yield "of an ordinary batch", batch
    yield "where an environment has one row", replace(batch, env=(torch.arange(len(batch)) == 0).long())
    yield "where an environment has no row", batch.select(torch.nonzero(batch.env != 1).flatten())
    yield "where all labels are equal", replace(batch, target=torch.zeros_like(batch.target))
    label = batch.env.to(batch.target.dtype)
    yield (
        "where every environment has one label",
        replace(batch, target=label if batch.target.ndim == 1 else label.unsqueeze(1).expand_as(batch.target)),
    )
    other = int(torch.nonzero(batch.env != batch.env[-1])[-1])
    yield "of two rows", batch.select(torch.tensor([other, len(batch) - 1]))


def _loss(method: RegularizedMethod, batch: Batch) -> Loss:
    return method.inner.loss(batch, 0.5, torch.Generator().manual_seed(1))


def _check_number(method: RegularizedMethod, penalty: Penalty, batch: Batch, what: str) -> None:
    for half in (False, True):
        where = f"{what} in bfloat16" if half else what
        method.train().zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = penalty(_loss(method, batch), batch)
        assert bool(torch.isfinite(value)), f"the penalty {where}: not finite"
        if value.requires_grad:
            value.backward()
        for name, parameter in method.named_parameters():
            finite = parameter.grad is None or bool(torch.isfinite(parameter.grad).all())
            assert finite, f"the gradient of {name} {where}: not finite"
    method.zero_grad()


def _check_gradient(method: RegularizedMethod, penalty: Penalty, batch: Batch) -> None:
    method.train().zero_grad()
    value = penalty(_loss(method, batch), batch)
    assert value.requires_grad, "the penalty must carry a gradient"
    value.backward()
    reached = [p.grad is not None and bool((p.grad != 0).any()) for p in method.inner.parameters()]
    assert any(reached), "the penalty has no gradient for the method that it joins"
    method.zero_grad()


def _check_absent_features(method: RegularizedMethod, penalty: Penalty, batch: Batch) -> None:
    loss = _loss(method, batch)
    wild = {n: f.masked_fill(~batch.present[n].unsqueeze(1), 1e3) for n, f in loss.features.items()}
    same = torch.allclose(penalty(loss, batch), penalty(replace(loss, features=wild), batch))
    assert same, "features of absent modalities move the penalty"


def _check_learning(
    method: RegularizedMethod, modalities: Mapping[str, Modality], task: Task, generator: torch.Generator
) -> None:
    """A full weight may hold the risk up in the first steps, as that of `irm` does; a tenth of it may not."""
    (penalty,) = method.penalties.values()
    assert isinstance(penalty, Penalty)
    penalty.weight *= _SMALL
    check_learning(method, modalities, task, generator)


def _check_order(method: RegularizedMethod, penalty: Penalty, batch: Batch, pairs_rows: bool) -> None:
    """`pairs_rows`: the environments come one after the other, the last one first; else the rows are shuffled."""
    shuffled = torch.randperm(len(batch), generator=torch.Generator().manual_seed(2))
    order = torch.argsort(-batch.env, stable=True) if pairs_rows else shuffled
    loss = _loss(method, batch)
    features = {name: values[order] for name, values in loss.features.items()}
    moved = replace(loss, risks=loss.risks[order], output=loss.output[order], features=features)
    before, after = _value(penalty, loss, batch), _value(penalty, moved, batch.select(order))
    assert _same(before, after), f"another order of the rows moves the penalty from {before:.4g} to {after:.4g}"


def _check_numbers(method: RegularizedMethod, penalty: Penalty, batch: Batch) -> None:
    loss = _loss(method, batch)
    before = _value(penalty, loss, batch)
    for shift in range(1, _ENVIRONMENTS):
        after = _value(penalty, loss, replace(batch, env=(batch.env + shift) % _ENVIRONMENTS))
        law = "other numbers of the environments move the penalty"
        assert _same(before, after), f"{law} from {before:.4g} to {after:.4g}"


def _value(penalty: Penalty, loss: Loss, batch: Batch) -> float:
    return float(penalty(loss, batch).detach())


def _same(value: float, other: float) -> bool:
    return abs(value - other) <= 1e-5 + 1e-3 * abs(value)


def _check_purity(method: RegularizedMethod, penalty: Penalty, batch: Batch) -> None:
    state = {name: value.clone() for name, value in penalty.state_dict().items()}
    random = torch.get_rng_state()
    loss = _loss(method, batch)
    tensors = _tensors(loss, batch)
    before = [tensor.detach().clone() for tensor in tensors]
    first, second = penalty(loss, batch), penalty(loss, batch)
    assert first.ndim == 0, f"the penalty must be one number; got {tuple(first.shape)}"
    assert torch.equal(first, second), "determinism: two calls in eval mode differ"
    assert torch.equal(random, torch.get_rng_state()), "determinism: it draws from the global random generator"
    assert all(map(torch.equal, before, tensors)), "the loss or the batch is changed"
    for name, value in penalty.state_dict().items():
        assert torch.equal(value, state[name]), f"state: eval mode changes {name}"


def _tensors(loss: Loss, batch: Batch) -> list[Tensor]:
    parts = [loss.total, loss.risks, loss.output, *loss.features.values(), batch.target, batch.ids, batch.env]
    return parts + [part for signal in batch.signals.values() for part in (signal.values, signal.mask)]


def _check_weight(method: RegularizedMethod, penalty: Penalty, batch: Batch) -> None:
    inner, loss = _loss(method, batch), method.loss(batch, 0.5, torch.Generator().manual_seed(1))
    expected = inner.total + penalty.current_weight(0.5) * penalty(inner, batch)
    assert torch.allclose(loss.total, expected, rtol=1e-4, atol=1e-5), "the loss grows by the weight times the penalty"
    assert torch.allclose(loss.terms["penalty"], penalty(inner, batch)), "the term is the penalty before its weight"
