"""Sequences of unequal length: padded values, the steps that exist, and the options that all such readers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.data.signal import Signal
from deconfound.datasets.repair import Fitting, Invalid
from deconfound.datasets.steps import CopiedSteps, row_chunks
from deconfound.errors import DataError

_MOST_PADDING = 100
"""Padded values per value of the file from which on a single long row is taken for an error."""
_ALWAYS_FITS = 1 << 24  # values


@dataclass(frozen=True)
class SequenceOptions:
    """What becomes of long rows and of values that are not finite."""

    steps: Annotated[
        int, Field(ge=0, description="keep the first steps of longer rows; 0 keeps all, as long as the longest row")
    ] = 0
    invalid: Annotated[
        Invalid, Field(description="what a NaN or infinite value takes with it: its feature, frame or row")
    ] = "feature"
    indicator: Annotated[bool, Field(description="add a column per imputed feature, 1 where it was not finite")] = False


def ragged_signal(
    rows: Sequence[np.ndarray],
    train: np.ndarray,
    options: SequenceOptions,
    what: str,
    release: Callable[[], None] = lambda: None,
) -> tuple[Signal, dict[str, Any]]:
    """The signal of rows of unequal length.

    Args:
        rows: N arrays (T_i, D) of numbers; T_i = 0 is a row without the modality.
        train: (N,) bool: the rows that a repair is learnt from.
        what: name of the modality in errors.
        release: called now and then, to free the pages of a mapped source.

    Returns:
        (N, T, D) float32, T that of the longest row or `options.steps`, and notes as `CopiedSteps.repaired` gives them.

    Raises:
        DataError: rows of different width, no step at all, or one row so long that padding the others fills the memory.
    """
    widths = {row.shape[1] for row in rows if len(row)}
    if len(widths) != 1 or 0 in widths:
        raise DataError(
            f"{what}: rows have {sorted(widths) or 'no'} features; every step needs the same number of them"
        )
    lengths = np.array([len(row) for row in rows])
    longest = int(lengths.max())
    steps = min(longest, options.steps or longest)
    width = widths.pop()
    if len(rows) * steps * width > max(_ALWAYS_FITS, _MOST_PADDING * int(lengths.sum()) * width):
        raise DataError(
            f"{what}: the longest row has {longest} steps, the mean one {lengths.mean():.3g}, so that nearly all of "
            "the padded rows would be empty; keep the first steps with --option steps=500"
        )
    kept = np.minimum(lengths, steps)
    copied = _padded(rows, kept, (len(rows), steps, width), release)
    fitting = Fitting(train, options.invalid, options.indicator)
    signal, counts = copied.repaired(np.arange(steps) < kept[:, None], fitting)
    absent = int((~signal.present).sum())
    return signal, {"cut_rows": int((lengths > steps).sum()), **counts, "absent_rows": absent}


def _padded(
    rows: Sequence[np.ndarray], lengths: np.ndarray, shape: tuple[int, int, int], release: Callable[[], None]
) -> CopiedSteps:
    values = np.zeros(shape, dtype=np.float32)
    content, nan, infinite = (np.zeros(shape[:2], dtype=bool) for _ in range(3))
    for chunk in row_chunks(values):
        for row in chunk.start + np.flatnonzero(lengths[chunk]):
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, and repaired as such
                values[row, : lengths[row]] = rows[row][: lengths[row]].astype(np.float32)
        content[chunk] = (values[chunk] != 0).any(axis=2)
        nan[chunk] = np.isnan(values[chunk]).any(axis=2)
        infinite[chunk] = np.isinf(values[chunk]).any(axis=2) & ~nan[chunk]
        release()
    return CopiedSteps(values, content, nan, infinite)
