"""Small random batches with every kind of absence, for the laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task

MODALITIES: Mapping[str, Modality] = {
    "text": Modality("text", 5, (4,)),
    "audio": Modality("audio", 1, (3,)),
    "image": Modality("image", 2, (6, 5)),
}
"""A sequence, a vector and a pair of images."""


def random_batch(
    modalities: Mapping[str, Modality], task: Task, rows: int, generator: torch.Generator, *, holes: bool = True
) -> Batch:
    """Rows of standard normal values (tokens 0 … 9) in one environment of two.

    Args:
        holes: leave out steps at random, but no modality wholly, except that row m < M has the m-th modality
            alone and row M has none.
    """
    signals: dict[str, Signal] = {}
    for number, (name, modality) in enumerate(modalities.items()):
        shape = (rows, modality.steps, *modality.shape)
        tokens = modality.kind == "tokens"
        values = torch.randint(10, shape, generator=generator) if tokens else torch.randn(shape, generator=generator)
        steps = torch.ones(rows, modality.steps, dtype=torch.bool)
        if holes:
            steps = torch.rand(rows, modality.steps, generator=generator) < 0.7
            steps[torch.arange(rows), torch.randint(modality.steps, (rows,), generator=generator)] = True
            alone = torch.arange(rows).unsqueeze(1)
            steps &= (alone == number) | (alone > len(modalities))
        signals[name] = Signal(values, torch.ones_like(steps)).keep(steps)
    if task.kind == "multilabel":
        target = (torch.rand(rows, task.outputs, generator=generator) < 0.5).float()
    elif task.kind == "classification":
        target = torch.arange(rows) % task.outputs
    else:
        target = torch.randn(rows, generator=generator)
    return Batch(signals, target, torch.arange(rows), torch.arange(rows) % 2)


def learnable_batch(modalities: Mapping[str, Modality], task: Task, rows: int, generator: torch.Generator) -> Batch:
    """Rows in which every step of every modality tells the label: a latent value plus 0.3 N(0, 1).

    The target of a regression is the latent value, standard normal; a class is an interval of it, and a row has a label
    from one value of it on. Tokens are 5 + 2 · value, rounded, in 0 … 9. Rows are spread evenly over two environments, and
    nothing is absent.
    """
    latent = torch.randn(rows, generator=generator)
    signals: dict[str, Signal] = {}
    for name, modality in modalities.items():
        shape = (rows, modality.steps, *modality.shape)
        centre = latent.reshape(-1, *[1] * (len(shape) - 1))
        values = centre + 0.3 * torch.randn(shape, generator=generator)
        if modality.kind == "tokens":
            values = (5 + 2 * values).round().clamp(0, 9).long()
        signals[name] = Signal(values, torch.ones(rows, modality.steps, dtype=torch.bool))
    rank = latent.argsort().argsort()
    target = rank * task.outputs // rows if task.kind == "classification" else latent
    if task.kind == "multilabel":
        edges = (torch.arange(task.outputs) + 1) * rows // (task.outputs + 1)
        target = (rank.unsqueeze(1) >= edges).float()
    return Batch(signals, target, torch.arange(rows), torch.arange(rows) % 2)


def learnable_dataset(modalities: Mapping[str, Modality], task: Task, generator: torch.Generator) -> Dataset:
    """48 training, 24 validation and 8 test rows as `learnable_batch`, in two environments that move the inputs.

    In the second environment every real number is larger by 1 in the first place of its last axis.
    """
    batch = learnable_batch(modalities, task, 80, generator)
    for signal in batch.signals.values():
        if signal.values.is_floating_point():
            signal.values[..., 0] += batch.env.reshape(-1, *[1] * (signal.values.ndim - 2))
    metadata = {"id": [str(row) for row in range(80)], "environment": [str(int(number)) for number in batch.env]}
    split = ["train"] * 48 + ["valid"] * 24 + ["test"] * 8
    return Dataset.build("laws", task, batch.signals, batch.target, metadata, split, environment=("environment",))


def with_garbage(batch: Batch, names: Sequence[str] | None = None) -> Batch:
    """The same batch with a large value (tokens: 1) wherever a mask is False."""
    signals: dict[str, Signal] = {}
    for name in batch.signals if names is None else names:
        values, mask = batch.signals[name].values, batch.signals[name].mask
        gone = ~mask.reshape(*mask.shape, *[1] * (values.ndim - 2))
        signals[name] = Signal(values.masked_fill(gone, 1e3 if values.is_floating_point() else 1), mask)
    return batch.with_signals(signals)


def with_padding(batch: Batch, names: Sequence[str], steps: int) -> Batch:
    """The same batch with `steps` steps that do not exist after the others of these modalities."""
    signals: dict[str, Signal] = {}
    for name in names:
        values, mask = batch.signals[name].values, batch.signals[name].mask
        more = values.new_zeros((len(values), steps, *values.shape[2:]))
        signals[name] = Signal(torch.cat([values, more], 1), torch.cat([mask, mask.new_zeros(len(mask), steps)], 1))
    return batch.with_signals(signals)
