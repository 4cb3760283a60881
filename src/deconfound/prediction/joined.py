"""Chunks of rows as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from deconfound.data.signal import Signal
from deconfound.prediction.rows import Rows


def in_one(chunks: Iterator[Rows]) -> Iterator[Rows]:
    """All rows as one chunk; none where there is no row."""
    parts = list(chunks)
    if not parts:
        return
    names = {name: None for _, signals in parts for name in signals}
    whole = {name: _joined([(signals.get(name), len(ids)) for ids, signals in parts]) for name in names}
    yield [row for ids, _ in parts for row in ids], whole


def _joined(parts: Sequence[tuple[Signal | None, int]]) -> Signal:
    """The rows of all parts, padded to the longest; those of a part that is None have no step."""
    some = next(signal for signal, _ in parts if signal is not None)
    steps = max(signal.mask.shape[1] for signal, _ in parts if signal is not None)
    shape = some.values.shape[2:]
    values = some.values.new_zeros(sum(count for _, count in parts), steps, *shape)
    mask = torch.zeros(values.shape[:2], dtype=torch.bool)
    start = 0
    for signal, count in parts:
        if signal is not None:
            values[start : start + count, : signal.mask.shape[1]] = signal.values
            mask[start : start + count, : signal.mask.shape[1]] = signal.mask
        start += count
    return Signal(values, mask)
