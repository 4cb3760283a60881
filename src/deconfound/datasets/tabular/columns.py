"""`Table`: several columns in memory that are one modality, and where a call means one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.datasets.frames import Column, frame_columns, is_absent, is_number
from deconfound.errors import DataError


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of several columns, side by side.

    Args:
        columns: name → N values of any kind.
    """

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def select(self, rows: np.ndarray) -> Table:
        """The rows of these numbers, in that order."""
        numbers = rows.tolist()
        return Table({name: [values[row] for row in numbers] for name, values in self.columns.items()})


def table_of(values: object) -> Table | None:
    """A table, or a frame of pandas or polars as one; None for anything else."""
    if isinstance(values, Table):
        return values
    framed = not isinstance(values, Mapping) and not callable(getattr(values, "columns", print))
    return Table(frame_columns(values)) if framed else None


def chosen_table(
    columns: Mapping[str, Column], choice: object, *, forced: bool, categorical: Collection[str] = ()
) -> Table | None:
    """The table that a choice of a modality means, None where it is none.

    Names of several columns are one if a column does not hold numbers alone or is one of categories. Where the columns are
    all of numbers they stay an array.

    Args:
        columns: of the frame.
        choice: a name, names, or values.
        forced: take any names, and any columns of an array.
        categorical: columns of categories.

    Raises:
        DataError: `forced`, and the choice is neither names of columns nor a table.
    """
    names = [choice] if isinstance(choice, str) else list(choice) if isinstance(choice, list | tuple) else []
    if names and all(isinstance(name, str) and name in columns for name in names):
        chosen = {name: columns[name] for name in names}
        several = not isinstance(choice, str)
        mixed = several and not all(_holds_numbers(values) for values in chosen.values())
        return Table(chosen) if forced or mixed or (several and not set(names).isdisjoint(categorical)) else None
    table = table_of(choice)
    if table is None and forced:
        raise DataError("a table is columns of the frame by name, or a frame of its own; give one of these")
    return table


def _holds_numbers(values: Column) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim == 1
    return all(is_absent(value) or is_number(value) for value in values)
