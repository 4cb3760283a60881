"""`Samples`: several modalities that scikit-learn can index like one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deconfound.datasets.frames import Column, plain
from deconfound.datasets.tabular.columns import Table, table_of
from deconfound.errors import DataError


class Samples(Mapping[str, Any]):
    """N rows of several modalities: a mapping that is also indexed by rows.

    scikit-learn takes the length of a dict for its number of rows. `cross_val_score`, `GridSearchCV` and everything else
    that splits rows need `Samples(text=a, audio=b)` instead of `{"text": a, "audio": b}`; `fit` and `predict` take both.

    Args:
        modalities: modality → (N, ...) array, list of N arrays, numbers or None, or a frame; also given by keyword.

    Raises:
        DataError: no modality, or modalities of different lengths.
    """

    def __init__(self, modalities: Mapping[str, object] | None = None, /, **by_keyword: object) -> None:
        columns = {**(modalities or {}), **by_keyword}
        self._columns: dict[str, Column | Table] = {
            name: table_of(values) or plain(values) for name, values in columns.items()
        }
        sizes = {name: len(values) for name, values in self._columns.items()}
        if len(set(sizes.values())) != 1:
            raise DataError(f"samples need one modality or more, all of one length; got {sizes}")
        self.shape = (next(iter(sizes.values())),)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, key: Any) -> Any:
        """A modality by its name, or `Samples` of the rows: numbers, booleans or a slice."""
        if isinstance(key, str):
            return self._columns[key]
        rows = np.arange(len(self))[key]
        if rows.ndim != 1:
            raise DataError(
                f"samples are indexed by several rows, such as [[{rows}]], or by the name of a modality; "
                "use one of these"
            )
        return Samples({name: _selected(values, rows) for name, values in self._columns.items()})

    def __repr__(self) -> str:
        return f"Samples of {len(self)} rows: {', '.join(self._columns)}"


def _selected(values: Column | Table, rows: np.ndarray) -> Column | Table:
    if isinstance(values, Table):
        return values.select(rows)
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
