"""What a component does on a small dataset, as a stream of tensors to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from deconfound.augmentation import Augmentation, LearnedAugmentation
from deconfound.corruption import Corruption
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.method import Method
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.penalty import Penalty

Kind = Literal["methods", "penalties", "augmentations", "corruptions"]

_EPOCHS = 6
_RATE = 0.02
_SEVERITY = 0.5


def effects(kind: Kind, make: Callable[..., Any], dataset: Dataset) -> Iterator[Tensor]:
    """The stream of one component.

    Args:
        kind: kind of component.
        make: positional arguments of the kind → component.
        dataset: with the splits "train" and "valid".
    """
    if kind == "corruptions":
        yield from _corruption_effects(make(), dataset)
        return
    modalities = {name: dataset.modalities[name] for name in dataset.signals}
    backbone = Backbone.build(modalities, dataset.task, hidden=8)
    rows = dataset.rows("train")
    batch = dataset.batch(torch.arange(rows.start, rows.stop))
    if kind == "methods":
        yield from _method_effects(make(backbone), batch, dataset)
    elif kind == "penalties":
        yield from _penalty_effects(make(backbone, int(dataset.env.max()) + 1), backbone, batch)
    else:
        yield from _augmentation_effects(make(), backbone, batch, dataset)


def _method_effects(method: Method, batch: Batch, dataset: Dataset) -> Iterator[Tensor]:
    """Parameters, then per epoch the loss of a step, the prediction and the variants."""
    development, generator = dataset.development(), torch.Generator().manual_seed(0)
    method.hooks.check(development)
    yield from (parameter.detach().clone() for parameter in method.parameters())
    if method.hooks.fit is not None:
        method.hooks.fit(development, generator)
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=_RATE)
    for epoch in range(_EPOCHS):
        method.hooks.on_epoch_start(epoch, development, generator)
        method.train()
        optimiser.zero_grad()
        total = method.loss(batch, epoch / _EPOCHS, generator).total
        total.backward()
        method.hooks.after_backward(generator)
        optimiser.step()
        yield total.detach()
        method.eval()
        with torch.no_grad():
            method.hooks.on_validation_start(development)
            yield method(batch)
            yield from method.hooks.variants(batch).values()


def _penalty_effects(penalty: Penalty, backbone: Backbone, batch: Batch) -> Iterator[Tensor]:
    """Parameters, weights at two moments, and the values of three calls in training."""
    yield from (parameter.detach().clone() for parameter in penalty.parameters())
    yield torch.tensor([penalty.current_weight(progress) for progress in (0.1, 1.0)])
    loss = ERM(backbone).eval().loss(batch, 0.5, torch.Generator().manual_seed(0))
    for _ in range(3):
        yield penalty.train()(loss, batch).detach()


def _augmentation_effects(
    augmentation: Augmentation, backbone: Backbone, batch: Batch, dataset: Dataset
) -> Iterator[Tensor]:
    augmentation.check(backbone)
    if isinstance(augmentation, LearnedAugmentation):
        augmentation.prepare(backbone)
        augmentation.learn(0, dataset.development(), backbone, torch.Generator().manual_seed(0))
    for seed in range(3):
        for weight, made in augmentation(batch, backbone, torch.Generator().manual_seed(seed)):
            yield torch.tensor(weight)
            yield made.target
            yield from _signals(made)


def _corruption_effects(corruption: Corruption, dataset: Dataset) -> Iterator[Tensor]:
    batch = dataset.batch(torch.arange(len(dataset)))
    yield from _signals(corruption.fitted(dataset)(batch, _SEVERITY, torch.Generator().manual_seed(0)))


def _signals(batch: Batch) -> Iterator[Tensor]:
    for signal in batch.signals.values():
        yield signal.values
        yield signal.mask
