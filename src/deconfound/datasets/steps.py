"""From stored arrays to a `Signal`: one copy to float32, and a mask of the steps that exist.

What becomes of NaN and infinite values is said in `deconfound.datasets.repair`; they never become a zero that a model
would take as a measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.signal import Signal
from deconfound.datasets.repair import Fitting, Repair, fit_repair, is_finite
from deconfound.errors import DataError
from deconfound.io.reading import FileKind, reading

_CHUNK_BYTES = 1 << 24  # so that temporary arrays stay small beside the data


@dataclass(frozen=True, eq=False)
class CopiedSteps:
    """N rows copied from the arrays of all splits.

    Args:
        values: (N, T, *F) float32, NaN and infinite values included.
        content: (N, T) bool: the step has a value other than 0.
        nan: (N, T) bool: the step has a NaN.
        infinite: (N, T) bool: the step has an infinite value and no NaN.
    """

    values: np.ndarray
    content: np.ndarray
    nan: np.ndarray
    infinite: np.ndarray

    def repaired(self, inside: np.ndarray, repair: Repair | Fitting) -> tuple[Signal, dict[str, Any]]:
        """Mask steps that do not exist and make all values finite; overwrites `values`.

        Args:
            inside: (N, T) bool: the steps that exist.
            repair: what to do, or how to learn it from these rows.

        Returns:
            The signal, and notes: the numbers of existing steps that were masked, as "nan_steps" and "infinite_steps",
            what `fit_repair` counts, and the repair as "repair" if it has means.
        """
        learnt: dict[str, Any] = {}
        if isinstance(repair, Fitting):
            images = self.values.ndim > 3 and repair.invalid == "feature"
            repair, learnt = fit_repair(self.flat, inside, replace(repair, invalid="frame") if images else repair)
        mask = repair.masked(self.flat, inside)
        gone = inside & ~mask
        counts = {"nan_steps": int((gone & self.nan).sum()), "infinite_steps": int((gone & self.infinite).sum())}
        filled = repair.filled(self.flat, mask)
        shape = self.values.shape[2:] if filled.shape[2] == self.flat.shape[2] else filled.shape[2:]
        kept = {"repair": repair.to_json()} if repair.means else {}
        signal = Signal(torch.from_numpy(filled.reshape(*mask.shape, *shape)), torch.from_numpy(mask))
        return signal, {**counts, **learnt, **kept}

    @property
    def flat(self) -> np.ndarray:
        """(N, T, W) view of the values."""
        return self.values.reshape(*self.content.shape, -1)


def row_chunks(array: np.ndarray) -> Iterator[slice]:
    """Slices of rows of about 16 MB of float32 each."""
    rows = max(1, _CHUNK_BYTES // max(1, 4 * int(np.prod(array.shape[1:], dtype=np.int64))))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def copy_steps(sources: Sequence[np.ndarray], release: Callable[[], None] = lambda: None) -> CopiedSteps:
    """Copy (n, T, *F) number arrays of equal T and F one after the other.

    Args:
        release: called after each chunk, to free the pages of a mapped source.
    """
    total, shape = sum(len(source) for source in sources), sources[0].shape[1:]
    values = np.empty((total, *shape), dtype=np.float32)
    content, nan, infinite = (np.zeros((total, shape[0]), dtype=bool) for _ in range(3))
    row = 0
    for source in sources:
        for rows in row_chunks(source):
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, and masked as such
                chunk = source[rows].astype(np.float32)
            to = slice(row, row + len(chunk))
            row += len(chunk)
            values[to] = chunk
            flat = chunk.reshape(len(chunk), shape[0], -1)
            content[to] = (torch.from_numpy(flat) != 0).any(dim=2).numpy()  # NumPy is slow along short axes
            if not is_finite(flat):
                nan[to] = np.isnan(flat).any(axis=2)
                infinite[to] = np.isinf(flat).any(axis=2) & ~nan[to]
            release()
    return CopiedSteps(values, content, nan, infinite)


def mask_from_content(content: np.ndarray) -> np.ndarray:
    """(N, T) bool: from the first to the last step that is not all zeros; zeros between them are values."""
    since_first = np.logical_or.accumulate(content, axis=1)
    until_last = np.logical_or.accumulate(content[:, ::-1], axis=1)[:, ::-1]
    return since_first & until_last


def mask_from_lengths(content: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The first `lengths` steps of each row, or the last ones if the padding is in front.

    Args:
        content: (N, T) bool: the step is not all zeros.
        lengths: (N,) integers in [0, T].

    Returns:
        (N, T) bool. Padding is in front if more rows have content outside their first steps than outside their last
        ones; this is decided once for all rows.
    """
    steps, lengths = np.arange(content.shape[1]), lengths[:, None]
    first, last = steps < lengths, steps >= content.shape[1] - lengths
    in_front = int((content & ~first).any(axis=1).sum()) > int((content & ~last).any(axis=1).sum())
    return last if in_front else first


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, for the provenance."""
    with (
        reading(path, FileKind("data file", DataError, "name a regular file that you may read")),
        open(path, "rb") as file,
    ):
        return hashlib.file_digest(file, "sha256").hexdigest()
