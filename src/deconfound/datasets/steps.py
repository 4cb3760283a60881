"""From stored arrays to a `Signal`: one copy to float32, and a mask for what does not exist.

A NaN or infinite value masks its whole step and is counted; it never becomes a zero that a model would take for a
measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from deconfound.data.signal import Signal

_PIECE = 1 << 24  # bytes handled at once, so that temporary arrays stay small beside the data


@dataclass(frozen=True, eq=False)
class Copied:
    """N rows copied from the arrays of all splits.

    Args:
        values: (N, T, *F) float32, as they are, NaN and infinite values too.
        content: (N, T) bool: the step has a value other than 0.
        nan: (N, T) bool: the step has a NaN.
        infinite: (N, T) bool: the step has an infinite value and no NaN.
    """

    values: np.ndarray
    content: np.ndarray
    nan: np.ndarray
    infinite: np.ndarray

    def signal(self, inside: np.ndarray) -> tuple[Signal, dict[str, int]]:
        """Mask what is outside or not finite; consumes `values`.

        Args:
            inside: (N, T) bool: the steps that exist.

        Returns:
            The signal, and how many steps inside were masked as "nan_steps" and "infinite_steps".
        """
        mask = inside & ~self.nan & ~self.infinite
        for rows in pieces(self.values):
            self.values[rows][~mask[rows]] = 0
        counts = {"nan_steps": int((inside & self.nan).sum()), "infinite_steps": int((inside & self.infinite).sum())}
        return Signal(torch.from_numpy(self.values), torch.from_numpy(mask)), counts


def pieces(array: np.ndarray) -> Iterator[slice]:
    """Slices of rows of about 16 MB of float32 each."""
    rows = max(1, _PIECE // max(1, 4 * int(np.prod(array.shape[1:], dtype=np.int64))))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def copy_steps(sources: Sequence[np.ndarray], release: Callable[[], None] = lambda: None) -> Copied:
    """Copy (n, T, *F) number arrays of equal T and F one after the other.

    Args:
        release: called after each piece, to let go of the pages of a mapped source.
    """
    total, form = sum(len(source) for source in sources), sources[0].shape[1:]
    values = np.empty((total, *form), dtype=np.float32)
    content, nan, infinite = (np.zeros((total, form[0]), dtype=bool) for _ in range(3))
    row = 0
    for source in sources:
        for rows in pieces(source):
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, and masked as such
                piece = source[rows].astype(np.float32)
            to = slice(row, row + len(piece))
            row += len(piece)
            values[to] = piece
            flat = piece.reshape(len(piece), form[0], -1)
            content[to] = (flat != 0).any(axis=2)
            nan[to] = np.isnan(flat).any(axis=2)
            infinite[to] = np.isinf(flat).any(axis=2) & ~nan[to]
            release()
    return Copied(values, content, nan, infinite)


def inside_by_content(content: np.ndarray) -> np.ndarray:
    """(N, T) bool: from the first to the last step that is not all zeros; zeros between them are values."""
    since_first = np.logical_or.accumulate(content, axis=1)
    until_last = np.logical_or.accumulate(content[:, ::-1], axis=1)[:, ::-1]
    return since_first & until_last


def inside_by_lengths(content: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The first `lengths` steps of each row, or the last ones where the content says that padding is in front.

    Args:
        content: (N, T) bool: the step is not all zeros.
        lengths: (N,) integers in [0, T].

    Returns:
        (N, T) bool. Padding is in front where more rows have content outside their first steps than outside their last
        ones; one answer for all rows.
    """
    steps, lengths = np.arange(content.shape[1]), lengths[:, None]
    first, last = steps < lengths, steps >= content.shape[1] - lengths
    in_front = int((content & ~first).any(axis=1).sum()) > int((content & ~last).any(axis=1).sum())
    return last if in_front else first


def sha256(path: Path) -> str:
    """Of a file, for the provenance."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
