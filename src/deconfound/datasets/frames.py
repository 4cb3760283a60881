"""Frames in memory as plain columns: pandas, polars, Hugging Face datasets, dicts of arrays, lists of rows.

A frame is known by what it can do, so none of these libraries needs to be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from deconfound.errors import DataError, did_you_mean

Column = np.ndarray | list[Any]
"""(N, ...) numbers, or a list of N values of any kind."""

_LISTING = ("to_list", "to_pylist", "tolist")


def frame_columns(frame: object) -> dict[str, Column]:
    """Column name → N values.

    Args:
        frame: a frame of pandas or polars, a table of pyarrow, a Hugging Face dataset, a mapping of split names to such
            datasets (their columns joined, and a column "split"), a mapping of names to arrays, a list of mappings, or None.

    Raises:
        DataError: something else, a name that occurs twice, or columns of different lengths.
    """
    if frame is None:
        return {}
    columns: dict[str, Column]
    if isinstance(frame, Mapping):
        columns = _joined(frame) if is_split(frame) else {str(name): plain(values) for name, values in frame.items()}
    elif isinstance(frame, list | tuple) and frame and all(isinstance(row, Mapping) for row in frame):
        names = dict.fromkeys(name for row in frame for name in row)
        columns = {str(name): [row.get(name) for row in frame] for name in names}
    else:
        columns = _named_columns(frame)
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(f"the columns have different lengths: {sizes}; give each row one value of every column")
    return columns


def is_split(frame: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds the splits of a Hugging Face dataset."""
    return bool(frame) and all(hasattr(part, "column_names") for part in frame.values())


def row_names(frame: object, columns: Mapping[str, Column]) -> list[str] | None:
    """(N) names of the rows that the frame itself gives: its column "id", or an index of pandas that is not 0 to N - 1."""
    if "id" in columns:
        return [str(value) for value in columns["id"]]
    index = getattr(frame, "index", None)
    if not hasattr(frame, "columns") or not hasattr(index, "is_unique") or not getattr(index, "is_unique", False):
        return None
    names = plain(index)
    return None if list(names) == list(range(len(names))) else [str(name) for name in names]


def plain(values: object) -> Column:
    """A column as an array of numbers, or else as a list.

    Raises:
        DataError: not a sequence of values.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()  # type: ignore[union-attr]
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return np.asarray(values)
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return np.asarray(values).astype(str).tolist()
    for name in _LISTING:
        if hasattr(values, name):
            return list(getattr(values, name)())
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise DataError(f"{values!r:.80} is not a column; give an array or a list with one value per row")
    return list(values)


def find_column(columns: Mapping[str, Column], name: str, what: str) -> Column:
    """The column of a name.

    Raises:
        DataError: the frame has none.
    """
    if name not in columns:
        raise DataError(f"{what} = {name!r}: the frame has no such column{did_you_mean(name, columns)}")
    return columns[name]


def resolve_column(columns: Mapping[str, Column], choice: object, what: str) -> Column:
    """A column named by `choice`, several of numbers side by side, or `choice` itself as a column.

    Raises:
        DataError: no such column, or one of several that does not hold numbers.
    """
    if isinstance(choice, str):
        return find_column(columns, choice, what)
    several = isinstance(choice, list | tuple) and choice and all(isinstance(name, str) for name in choice)
    if several and set(choice) <= set(columns):  # type: ignore[arg-type]
        return np.stack([numbers_of(columns[name], f"{what}: the column {name!r}") for name in choice], axis=1)  # type: ignore[union-attr]
    return plain(choice)


def numbers_of(values: Sequence[Any] | np.ndarray, what: str) -> np.ndarray:
    """(N,) float64, NaN where a row has no value.

    Raises:
        DataError: a value that is not a number.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values.astype(np.float64)
    wrong = next((value for value in values if not is_absent(value) and not is_number(value)), None)
    if wrong is not None:
        raise DataError(f"{what} holds {wrong!r:.60}; expected one number per row")
    return np.array([np.nan if is_absent(value) else float(value) for value in values])


def is_number(value: object) -> bool:
    """Whether a value is one number or boolean."""
    return isinstance(value, bool | int | float | np.number | np.bool_)


def is_absent(value: object) -> bool:
    """Whether a value is None, NaN or a missing value of pandas; an empty text is one, an array never."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _named_columns(frame: object) -> dict[str, Column]:
    names = getattr(frame, "column_names", getattr(frame, "columns", None))
    if names is None or callable(names):
        raise DataError(
            f"a frame is a table of pandas, polars or Hugging Face datasets, a dict of columns or a list of rows; got "
            f"{type(frame).__name__}: pass arrays by name, such as audio=array"
        )
    listed = [str(name) for name in names]
    repeated = next((name for name in listed if listed.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"the frame has two columns {repeated!r}; give each its own name")
    return {str(name): plain(frame[name]) for name in names}  # type: ignore[index]


def _joined(parts: Mapping[Any, Any]) -> dict[str, Column]:
    """The columns of several splits one after the other, with their names as the column "split"."""
    by_split = {str(split): _named_columns(part) for split, part in parts.items()}
    names = dict.fromkeys(name for columns in by_split.values() for name in columns)
    lacking = next(((s, n) for s, columns in by_split.items() for n in names if n not in columns), None)
    if lacking is not None:
        raise DataError(f"the split {lacking[0]!r} has no column {lacking[1]!r}; all splits need the same columns")
    joined: dict[str, Column] = {
        name: [value for columns in by_split.values() for value in columns[name]] for name in names
    }
    rows = {split: len(next(iter(columns.values()), [])) for split, columns in by_split.items()}
    joined["split"] = [split for split, count in rows.items() for _ in range(count)]
    return joined
