"""`TabularEncoding`: what makes numbers of the columns of a table, learnt from training rows and kept with the run.

A number becomes standard deviations from the training mean, a category one column per category of the training rows that
is 1 where the row has it and 0 elsewhere. The first layer of an encoder gives each category a vector of its own, so this
is an embedding too. A column that lacks values in training has one more column, 1 where the value is missing. A category
that training did not have is 0 in all columns: one more column for it would have a weight that nothing has trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from deconfound.data.missing_words import folded
from deconfound.data.signal import Signal
from deconfound.datasets.frames import Column
from deconfound.datasets.tabular.cells import Cell, category_name, cells
from deconfound.errors import DataError

KIND = "table"
"""The kind of such a modality in the notes about how it was read."""

_LARGEST = 1e6  # standard deviations, so that 32 bits hold the square of a far-out number


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Args:
        name: of the column.
        mean, std: of the training rows that have a value; the std of a constant is 1.
        indicator: whether a second column says where the value is missing.
    """

    name: str
    mean: float
    std: float
    indicator: bool

    @property
    def features(self) -> list[str]:
        return [self.name, *([f"{self.name} missing"] if self.indicator else [])]

    def encode(self, column: Sequence[Cell], what: str, ids: Sequence[str]) -> np.ndarray:
        """(N, 1 or 2) float32: (x − mean) / std, 0 where it is missing, which the second column then says.

        Raises:
            DataError: a text.
        """
        wrong = next((row for row, cell in enumerate(column) if isinstance(cell, str)), None)
        if wrong is not None:
            raise DataError(
                f"{what}: {self.name!r} of {ids[wrong]!r} is {str(column[wrong])[:40]!r}; it is a column of numbers: correct "
                "it, list the word with missing, or name the column under categorical"
            )
        gone = np.array([cell is None for cell in column], dtype=bool)
        values = np.array([self.mean if cell is None else cell for cell in column], dtype=np.float64)
        scaled = np.clip((values - self.mean) / self.std, -_LARGEST, _LARGEST)
        return np.stack([scaled, gone] if self.indicator else [scaled], axis=1).astype(np.float32)


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories.

    Args:
        name: of the column.
        categories: those of the training rows that have a column of their own, in order.
        others: whether training has further categories, which share a column.
        indicator: whether a column says where the value is missing.
    """

    name: str
    categories: tuple[str, ...]
    others: bool
    indicator: bool

    @property
    def features(self) -> list[str]:
        own = [f"{self.name}={category}" for category in self.categories]
        further = [f"{self.name} other"] if self.others else []
        return [*own, *further, *([f"{self.name} missing"] if self.indicator else [])]

    def encode(self, column: Sequence[Cell], what: str, ids: Sequence[str]) -> np.ndarray:
        """(N, C to C + 2) float32 of 0 and 1: one per category, one for all others and one for a missing value.

        What training never had, another category or a missing value, is a row of zeros.
        """
        places = {category: place for place, category in enumerate(self.categories)}
        other = len(places) if self.others else None
        missing = len(self.features) - 1 if self.indicator else None
        hot = np.zeros((len(column), len(self.features)), dtype=np.float32)
        for row, cell in enumerate(column):
            place = missing if cell is None else places.get(category_name(cell), other)
            if place is not None:
                hot[row, place] = 1
        return hot

    def unseen(self, column: Sequence[Cell]) -> int:
        """Rows with a category that has no column of its own."""
        known = set(self.categories)
        return sum(cell is not None and category_name(cell) not in known for cell in column)


TabularColumn = NumberColumn | CategoryColumn


@dataclass(frozen=True)
class TabularEncoding:
    """How the columns of a table become one vector per row; JSON values only.

    Args:
        columns: those that are read, in order.
        missing: words for no value.
    """

    columns: tuple[TabularColumn, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> TabularEncoding:
        """The encoding that `to_json` wrote."""
        read: list[TabularColumn] = []
        for column in noted["columns"]:
            if "categories" in column:
                read.append(CategoryColumn(**{**column, "categories": tuple(column["categories"])}))
            else:
                read.append(NumberColumn(**column))
        return cls(tuple(read), tuple(noted["missing"]))

    def to_json(self) -> dict[str, Any]:
        columns = [{**asdict(column)} for column in self.columns]
        for column in columns:
            if "categories" in column:
                column["categories"] = list(column["categories"])
        return {"columns": columns, "missing": list(self.missing)}

    @property
    def names(self) -> list[str]:
        """Columns that are read."""
        return [column.name for column in self.columns]

    @property
    def features(self) -> list[str]:
        """The D names of the numbers of a row, such as "age", "age missing" and "city=Rome"."""
        return [feature for column in self.columns for feature in column.features]

    def encode(self, table: Mapping[str, Column], what: str, ids: Sequence[str]) -> Signal:
        """N rows as vectors of D numbers; a row without any value lacks the modality.

        Args:
            table: column → N values; a column that is not there is missing in all rows, others are ignored.
            what: the modality, for errors.
            ids: N names of the rows, for errors.

        Raises:
            DataError: a text in a column of numbers, or a value that is neither.
        """
        words = folded(self.missing)
        nothing: list[Cell] = [None] * len(ids)
        read = {
            column.name: cells(table[column.name], words, f"{what}: {column.name!r}")
            if column.name in table
            else nothing
            for column in self.columns
        }
        parts = [column.encode(read[column.name], what, ids) for column in self.columns]
        values = torch.from_numpy(np.concatenate(parts, axis=1)).unsqueeze(1)
        present = np.array([[cell is not None for cell in column] for column in read.values()]).any(axis=0)
        mask = torch.from_numpy(present).unsqueeze(1)
        return Signal(values, mask).keep(mask)
