"""Which rows of a raw column have equal samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deconfound.extraction.raw import RawColumn, SampleError, content_key

_DIGEST = 32


@dataclass(frozen=True, eq=False)
class ContentKeys:
    """The distinct samples of N rows, in the order in which they first occur.

    Args:
        digests: (U, 32) uint8 SHA-256 of each.
        first: (U,) int64 the first row that has it.
        code: (N,) int64 the sample of each row, −1 where there is none that can be read.
    """

    digests: np.ndarray
    first: np.ndarray
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.digests)

    def key(self, code: int) -> bytes:
        """The digest of a sample."""
        return self.digests[code].tobytes()

    def rows(self, code: int) -> list[int]:
        """The rows that have a sample."""
        return np.flatnonzero(self.code == code).tolist()

    def codes(self) -> Iterator[int]:
        """Numbers of the samples that some row has."""
        return iter(np.unique(self.code[self.code >= 0]).tolist())

    def without(self, rows: list[int]) -> ContentKeys:
        """The same, but these rows have no sample."""
        code = self.code.copy()
        code[rows] = -1
        return ContentKeys(self.digests, self.first, code)


def content_keys(column: RawColumn, broken: dict[int, str]) -> ContentKeys:
    """The distinct samples of a column; adds the rows that cannot be read, and why, to `broken`.

    Raises:
        DataError: a path that leaves its folder.
    """
    digests = np.zeros((len(column.samples), _DIGEST), dtype=np.uint8)
    there = np.zeros(len(column.samples), dtype=bool)
    for row, sample in enumerate(column.samples):
        if sample is None:
            continue
        try:
            digests[row] = np.frombuffer(content_key(column.source(row)), dtype=np.uint8)
            there[row] = True
        except SampleError as error:
            broken[row] = str(error)
    rows = np.flatnonzero(there)
    whole = digests[rows].view(f"V{_DIGEST}").reshape(-1)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    code = np.full(len(there), -1, dtype=np.int64)
    code[rows] = position[inverse.reshape(-1)]
    return ContentKeys(digests[rows[first[order]]], rows[first[order]], code)
