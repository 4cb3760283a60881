"""Several labels a row: 0/1 columns, or one column of label names, as a matrix of 0 and 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.datasets.frames import is_number
from deconfound.errors import DataError, did_you_mean
from deconfound.io.limits import is_name

MOST_LABELS = 1000
"""Most different labels of a column of label names; more are rather texts."""

_BINARY = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """N rows of L labels.

    Args:
        names: of the L labels.
        values: (N, L) float32 of 0 and 1; 0 in a row whose labels are not known.
        labelled: (N,) bool: rows whose labels are known.
    """

    names: tuple[str, ...]
    values: np.ndarray
    labelled: np.ndarray

    @property
    def target(self) -> Tensor:
        """(N, L) float32."""
        return torch.from_numpy(self.values)

    @property
    def strata(self) -> list[str]:
        """(N) texts, equal for rows with the same labels."""
        return ["".join("01"[int(cell)] for cell in row) for row in self.values.tolist()]


def binary_columns(
    columns: Mapping[str, Sequence[Any] | np.ndarray], what: str, missing: Collection[str] = folded(MISSING)
) -> LabelMatrix:
    """One label per column, whose cells are 0 or 1, or True or False; a row with a missing cell is not labelled.

    Raises:
        DataError: another cell.
    """
    values = np.zeros((len(next(iter(columns.values()))), len(columns)), dtype=np.float32)
    labelled = np.ones(len(values), dtype=bool)
    for place, (name, column) in enumerate(columns.items()):
        for row, cell in enumerate(column.tolist() if isinstance(column, np.ndarray) else column):
            if is_missing(cell, missing):
                labelled[row] = False
                continue
            text = str(cell).strip().casefold() if isinstance(cell, str) or is_number(cell) else ""
            if text not in _BINARY:
                raise DataError(f"{what}: {name!r} of row {row + 1} is {cell!r:.40}; a column of a label holds 0 and 1")
            values[row, place] = _BINARY[text]
    values[~labelled] = 0
    return LabelMatrix(tuple(columns), values, labelled)


def label_sets(rows: Sequence[Collection[str] | None], what: str, names: Sequence[str] | None = None) -> LabelMatrix:
    """The labels of each row by name; None where they are not known, an empty collection where it has none.

    Args:
        names: all labels in order; by default those that occur, sorted.

    Raises:
        DataError: a name that is no text or not among `names`, or too many different ones.
    """
    odd = next((name for row in rows if row is not None for name in row if not isinstance(name, str)), None)
    if odd is not None:
        raise DataError(f"{what} holds the label {odd!r:.40}; the labels of a row are texts")
    known = tuple(names) if names is not None else tuple(sorted({name for row in rows if row for name in row}))
    if len(known) > MOST_LABELS or not all(map(is_name, known)):
        raise DataError(f"{what} holds {len(known)} different labels; give at most {MOST_LABELS}, of short names")
    place = {name: number for number, name in enumerate(known)}
    values = np.zeros((len(rows), len(known)), dtype=np.float32)
    for number, row in enumerate(rows):
        for name in row or ():
            if name not in place:
                raise DataError(
                    f"{what}: row {number + 1} has the unknown label {name!r:.40}{did_you_mean(name, known)}"
                )
            values[number, place[name]] = 1
    return LabelMatrix(known, values, np.array([row is not None for row in rows]))


def split_names(cells: Sequence[Any], separator: str) -> list[list[str] | None]:
    """The names of each cell, such as "happy|calm"; None for a missing cell."""
    return [
        None if cell is None else [name.strip() for name in str(cell).split(separator) if name.strip()]
        for cell in cells
    ]
