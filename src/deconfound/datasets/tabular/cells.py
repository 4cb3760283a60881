"""Cells of a table: one number, one category or nothing, whatever file or frame they come from."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from deconfound.data.missing_words import is_missing
from deconfound.datasets.frames import is_number
from deconfound.datasets.manifest import number_of
from deconfound.errors import DataError

Cell = float | str | None
"""A number, a text, or no value."""

LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond this size count as no value."""

_DATE = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}([T ].*)?|\d{4}/\d{1,2}/\d{1,2}.*)")
_TRUTH = {"true": "True", "false": "False"}


def cells(values: Sequence[Any] | np.ndarray, missing: Collection[str], what: str) -> list[Cell]:
    """N cells of a column.

    A text that is written as a number is that number, as CSV writes all; "007" is a text. True and False are texts.

    Args:
        missing: words for no value, as `folded` returns them.
        what: the column, for errors.

    Raises:
        DataError: a value that is neither a text nor a number, such as a list.
    """
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return [_cell(value, missing, what) for value in listed]


def category_name(cell: float | str) -> str:
    """The name of a category: its text; a whole number without a decimal point."""
    if isinstance(cell, str):
        return cell
    return str(int(cell)) if float(cell).is_integer() else repr(cell)


def is_date(cell: Cell) -> bool:
    """Whether a text is written as a date, such as 2024-05-31 or 31.5.2024, with or without a time."""
    return isinstance(cell, str) and _DATE.fullmatch(cell) is not None


def _cell(value: Any, missing: Collection[str], what: str) -> Cell:
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if is_number(value):
        number = float(value)
        return number if abs(number) <= LARGEST else None  # NaN is not either
    if not isinstance(value, str):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            return None
        if isinstance(value, Collection) or hasattr(value, "shape"):
            raise DataError(f"{what} holds {value!r:.60}; a column of a table holds one number or text per row")
        return str(value)
    if is_missing(value, missing):
        return None
    text = value.strip()
    read = number_of(text)
    if isinstance(read, str):
        return _TRUTH.get(text.casefold(), text)
    return float(read) if abs(read) <= LARGEST else None
