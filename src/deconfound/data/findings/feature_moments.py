"""Mean and standard deviation of each feature over the existing steps of a split, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal

_BYTES = 1 << 24


def numeric(dataset: Dataset) -> dict[str, Signal]:
    """The modalities whose steps are vectors of real numbers."""
    return {
        name: signal
        for name, signal in dataset.signals.items()
        if signal.values.is_floating_point() and signal.values.ndim == 3
    }


def step_chunks(signal: Signal, rows: range) -> Iterator[tuple[Tensor, Tensor]]:
    """(S, D) float64 existing steps of some rows, and (S,) int64 row number of each."""
    size = max(1, _BYTES // max(1, 8 * signal.values[0].numel()))
    for start in range(rows.start, rows.stop, size):
        part = slice(start, min(start + size, rows.stop))
        mask = signal.mask[part]
        yield signal.values[part][mask].double(), start + torch.nonzero(mask)[:, 0]


def moments(signal: Signal, rows: range) -> tuple[Tensor, Tensor]:
    """(D,) float64 means and standard deviations; 0 without a step."""
    width = signal.values.shape[2]
    count, total, square = 0, torch.zeros(width).double(), torch.zeros(width).double()
    for steps, _ in step_chunks(signal, rows):
        count += len(steps)
        total += steps.sum(dim=0)
    mean = total / max(count, 1)
    for steps, _ in step_chunks(signal, rows):
        square += (steps - mean).square().sum(dim=0)
    return mean, (square / max(count, 1)).sqrt()
