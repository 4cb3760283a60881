"""`check_views`: what a method keeps of the views of one step counts by their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from deconfound.augmentation import Augmentation
from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.method import Method
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, learnable_dataset

_STEPS = 3
_RATE = 0.01
_NEARLY = 1 - 1e-6
_TOLERANCE = 1e-3


def check_views(
    make: Callable[[Backbone], Method],
    augmentation: Augmentation | None = None,
    *,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    seed: int = 0,
) -> None:
    """Check that a second view of the rows matters as much as its weight. No state of the caller changes.

    The law: where the first view has the weight 1 and the second 0, or nearly so, a method is trained as by the first view
    alone: the loss, the gradients after the hook `after_backward` and everything in the `state_dict` are the same over
    several steps. So a method does not keep the last view it saw, nor count a row once for each view.

    Args:
        make: backbone → method, such as the class itself.
        augmentation: makes the views: its first and its last one. Where it makes one, and without it, the second view is
            the first with the labels in reversed order.
        modalities: forms of the input.
        task: of the method; a regression unless given.
        seed: of the weights and the rows.

    Raises:
        AssertionError: the law is broken; the message says where.
    """
    task = task or Task.regression()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dataset = learnable_dataset(modalities, task, torch.Generator().manual_seed(seed)).development()
        method = make(Backbone.build(modalities, task, hidden=8))
        method.hooks.check(dataset)
        rows = dataset.rows("train")
        batch = dataset.batch(torch.arange(rows.start, rows.stop))
        for share in (1.0, _NEARLY):
            alone, joined = (_joined(method, _Views(augmentation, part)) for part in (None, share))
            for trained in (alone, joined):
                trained.hooks.on_epoch_start(0, dataset, torch.Generator().manual_seed(seed))
            for step in range(_STEPS):
                _compare(_step(alone, batch, step), _step(joined, batch, step), f"weights {share:g} and {1 - share:g}")


class _Views(Augmentation):
    """The first view with the weight `share` and the last with the rest; with None the first view alone."""

    def __init__(self, inner: Augmentation | None, share: float | None) -> None:
        self.inner, self.share = inner, share

    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        views = [batch] if self.inner is None else [view for _, view in self.inner(batch, backbone, generator)]
        if self.share is None:
            return [(1.0, views[0])]
        last = views[-1] if len(views) > 1 else replace(views[0], target=batch.target.flip(0))
        return [(self.share, views[0]), (1 - self.share, last)]


def _joined(method: Method, views: _Views) -> RegularizedMethod:
    return RegularizedMethod(deepcopy(method), {}, {"views": views})


def _step(method: RegularizedMethod, batch: Batch, number: int) -> dict[str, Tensor]:
    """What one step of descent leaves: the loss, the gradients and the state, by name."""
    torch.manual_seed(number)
    generator = torch.Generator().manual_seed(number)
    method.train().zero_grad()
    total = method.loss(batch, number / (2 * _STEPS), generator).total
    total.backward()
    method.hooks.after_backward(torch.Generator().manual_seed(number))
    left = {"the loss": total.detach()}
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if parameter.grad is not None:
                left[f"the gradient of {name}"] = parameter.grad.clone()
                parameter -= _RATE * parameter.grad
    return left | {f"the state {name}": value.clone() for name, value in method.state_dict().items()}


def _compare(alone: Mapping[str, Tensor], joined: Mapping[str, Tensor], what: str) -> None:
    assert alone.keys() == joined.keys(), f"views with {what}: other parameters get a gradient than with one view"
    for name, expected in alone.items():
        value = joined[name]
        same = value.shape == expected.shape and torch.allclose(
            value.double(), expected.double(), rtol=_TOLERANCE, atol=_TOLERANCE * _size(expected)
        )
        assert same, f"views with {what}: {name} is not that of the first view alone"


def _size(values: Tensor) -> float:
    """The largest absolute value, no less than 1e-3."""
    return max(1e-3, float(values.double().abs().max())) if values.numel() else 1.0
