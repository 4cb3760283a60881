"""Words that stand for a missing value in the text columns of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from deconfound.errors import DataError

MISSING = ("", "NA", "N/A", "#N/A", "<NA>", "NaN", "NaT", "NULL", "None")
"""Words that mean "no value" by default, whatever their case and the blanks around them.

"-", "?" and "unknown" are values, because people use them as classes and in transcripts.
"""

_MISSING_TYPES = ("NAType", "NaTType")
"""Types of pandas for a missing value, which has no equality."""


def is_missing(value: object, words: Collection[str]) -> bool:
    """True for None, NaN, a missing value of pandas, and a text that is one of the words.

    Args:
        words: as `folded` returns them.
    """
    if isinstance(value, str):
        return value.strip().casefold() in words
    return value is None or type(value).__name__ in _MISSING_TYPES or value != value


def folded(words: Sequence[str]) -> frozenset[str]:
    """The words without case and blanks; the empty text is always one of them."""
    return frozenset({"", *(word.strip().casefold() for word in words)})


def unlabelled_rows(columns: Mapping[str, Sequence[Any]], words: Sequence[str] = MISSING) -> list[int]:
    """Numbers of the rows that lack a value in one of the columns, those of the labels.

    Raises:
        DataError: no row lacks one.
    """
    missing = folded(words)
    rows = [
        row
        for row, cells in enumerate(zip(*columns.values(), strict=True))
        if any(is_missing(cell, missing) for cell in cells)
    ]
    if not rows:
        raise DataError(f"every row has a label ({', '.join(columns)}); leave --unlabelled out to predict them all")
    return rows


def with_none(columns: Mapping[str, Sequence[Any]], words: Sequence[str]) -> dict[str, list[Any]]:
    """The columns with None in the place of each missing value."""
    missing = folded(words)
    return {
        name: [None if is_missing(value, missing) else value for value in values] for name, values in columns.items()
    }
