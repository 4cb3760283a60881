"""The rows of a call in memory: a frame, the arrays beside it, their ids, and which column serves which purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deconfound.data.signal import Signal
from deconfound.datasets.frames import (
    Column,
    find_column,
    frame_columns,
    is_absent,
    is_number,
    plain,
    resolve_column,
    row_names,
)
from deconfound.datasets.in_memory_target import label_name
from deconfound.datasets.manifest import as_metadata
from deconfound.datasets.tabular.columns import table_of
from deconfound.errors import DataError


@dataclass(frozen=True, eq=False)
class MemoryRows:
    """N rows.

    Args:
        columns: name → N values of the frame.
        ids: N unique names.
        modalities: modality → column, columns of numbers, N values, or a `Signal`.
        id_column: the column that the ids come from, None where it is none.
    """

    columns: Mapping[str, Column]
    ids: list[str]
    modalities: Mapping[str, object]
    id_column: str | None

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, choice: object, what: str) -> Column:
        """A column of N values: its name in the frame, names of several columns of numbers, or the values.

        Raises:
            DataError: there is none, or it has another length.
        """
        values = resolve_column(self.columns, choice, what)
        if len(values) != len(self):
            raise DataError(f"{what} has {len(values)} rows, the others have {len(self)}; give each row one value")
        return values

    def is_named(self, choice: object) -> bool:
        """Whether a choice is the name of a column, or names of several."""
        return bool(_column_names(choice, self.columns))

    def named(self, choice: object, what: str) -> dict[str, list[str]]:
        """Column → N texts: of the columns that are named, or of N values under the name `what`.

        Raises:
            DataError: no such column, or a row without a value.
        """
        if choice is None or (isinstance(choice, list | tuple) and not choice):
            return {}
        names = [choice] if isinstance(choice, str) else _column_names(choice, self.columns)
        chosen = {name: find_column(self.columns, name, what) for name in names} or {what: self.column(choice, what)}
        for name, values in chosen.items():
            row = next((row for row, value in enumerate(values) if is_absent(value)), None)
            if row is not None:
                raise DataError(
                    f"{what}: the row {self.ids[row]!r} has no {name!r}; every row needs one: fill it, or "
                    "leave the row out"
                )
        return {name: [label_name(value) for value in values] for name, values in chosen.items()}

    def check_inputs(self, served: Mapping[str, object]) -> None:
        """Check that no modality reads a column that holds the labels or the splits.

        Args:
            served: purpose → name or names of columns; what is no name is ignored.

        Raises:
            DataError: one does.
        """
        for name, choice in self.modalities.items():
            read = _column_names(choice, self.columns)
            for purpose, columns in served.items():
                both = next((column for column in _column_names(columns, self.columns) if column in read), None)
                if both is not None:
                    raise DataError(
                        f"the modality {name!r} reads {both!r}, which is the {purpose}; a model must not read it: leave it out"
                    )

    def metadata(
        self, names: Sequence[str] | None, texts: Mapping[str, list[str]], served: Sequence[object]
    ) -> dict[str, np.ndarray]:
        """Column → (N,) values to keep, "id" among them.

        Args:
            names: columns to keep; None for those that hold one value per row and serve no other purpose.
            texts: columns that are kept in any case.
            served: names of columns that serve another purpose; what is no name is ignored.
        """
        used = {name for choice in (*served, *self.modalities.values()) for name in _column_names(choice, self.columns)}
        free = [name for name, values in self.columns.items() if name not in used and _is_flat(values)]
        kept = free if names is None else names
        about = {name: as_metadata(_scalars(find_column(self.columns, name, "metadata"))) for name in kept}
        about |= {name: np.array(values, dtype=object) for name, values in texts.items()}
        about = {name: values for name, values in about.items() if name not in ("id", "split", self.id_column)}
        return about | {"id": np.array(self.ids, dtype=object)}


def memory_rows(frame: object, modalities: Mapping[str, object], ids: object, target: object = None) -> MemoryRows:
    """The rows of a frame and of the arrays beside it.

    Args:
        modalities: as for `MemoryRows`.
        ids: name of the column of ids, N of them, or None.
        target: tells the number of rows where there is no frame.

    Raises:
        DataError: no modality, not a frame, or no rows, or ids that occur twice or are not as many as the rows.
    """
    columns = frame_columns(frame)
    if not modalities:
        raise DataError("there is no modality; name one, such as audio=array or text='column'")
    sized = next(iter(columns.values()), None)
    if sized is None:
        first = target if target is not None and not isinstance(target, str) else next(iter(modalities.values()))
        table = table_of(first)
        sized = table or (first if isinstance(first, Signal) else resolve_column(columns, first, "the first modality"))
    count = len(sized)
    if isinstance(ids, str):
        names: list[str] | None = [label_name(value) for value in find_column(columns, ids, "id")]
    else:
        names = row_names(frame, columns) if ids is None else [label_name(value) for value in plain(ids)]
    names = [str(row) for row in range(count)] if names is None else names
    if not count:
        raise DataError("there are no rows; give one or more")
    if len(names) != count:
        raise DataError(f"there are {len(names)} ids for {count} rows; give each row one")
    repeated, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"id {repeated!r} occurs {times} times; ids must be unique: leave id out for row numbers")
    return MemoryRows(columns, names, modalities, ids if isinstance(ids, str) else None)


def _column_names(choice: object, columns: Mapping[str, Column]) -> list[str]:
    """The names that a choice consists of; empty if it is no name of a column."""
    names = [choice] if isinstance(choice, str) else list(choice) if isinstance(choice, list | tuple) else []
    return names if names and all(isinstance(name, str) and name in columns for name in names) else []


def _is_flat(values: Column) -> bool:
    """Whether a column holds one number, text or date per row."""
    if isinstance(values, np.ndarray):
        return values.ndim == 1
    return all(is_absent(value) or isinstance(value, str) or not hasattr(value, "__len__") for value in values)


def _scalars(values: Column) -> list[object]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    known = (value if isinstance(value, str) or is_number(value) else str(value) for value in listed)
    return [None if is_absent(value) else text for value, text in zip(listed, known, strict=True)]
