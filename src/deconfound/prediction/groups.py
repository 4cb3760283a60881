"""The group of each row to predict, for runs whose inputs are scaled by the rows of their own group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deconfound.data.dataset import Dataset
from deconfound.data.group_scale import dataset_groups, group_name
from deconfound.datasets.frames import Column, frame_columns
from deconfound.datasets.manifest import read_manifest
from deconfound.errors import DataError
from deconfound.prediction.source import JSON_LINES, RAW_TABLES


def groups_in_file(source: Path, columns: Sequence[str]) -> list[str]:
    """N group names in the order of the rows; "" for a row without a value in one of the columns.

    Args:
        source: as for `predict_file`; its rows have been read once without an error.
        columns: those that the run was trained with.

    Raises:
        DataError: the source is standard input, which cannot be read twice.
    """
    if str(source) == "-":
        raise DataError(
            f"the run scales each row by its group ({', '.join(columns)}), for which all rows are read first; write them to a "
            "file and name that instead of '-'"
        )
    if source.is_dir():
        from deconfound.data.store import open_verified

        return _of_dataset(open_verified(source), columns)
    if source.suffix.lower() in JSON_LINES:
        lines = source.read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        return [group_name("", columns, [row.get(name) for name in columns]) for row in rows]
    if source.suffix.lower() in RAW_TABLES:
        table: Mapping[str, Sequence[object]] = read_manifest(source)
    else:
        from deconfound.datasets.table_source import TableSource

        table = TableSource(source).columns
    return _of_table(table, columns, len(next(iter(table.values()))))


def groups_in_memory(data: object, columns: Sequence[str], count: int) -> list[str]:
    """As `groups_in_file`, for what `memory_inputs` takes.

    Args:
        count: N.

    Raises:
        DataError: a column has another length.
    """
    if isinstance(data, Dataset):
        return _of_dataset(data, columns)
    if isinstance(data, Mapping):
        named = {name: data[name] for name in columns if name in data}
        return _of_table(frame_columns(named), columns, count) if named else [""] * count
    return _of_table(frame_columns(data), columns, count)


def without_groups(data: object, columns: Sequence[str], modalities: Mapping[str, object]) -> object:
    """A mapping of modalities without the columns of groups, which are no modalities; other data as they are."""
    if isinstance(data, Dataset) or not isinstance(data, Mapping):
        return data
    return {name: values for name, values in data.items() if name not in columns or name in modalities}


def _of_dataset(dataset: Dataset, columns: Sequence[str]) -> list[str]:
    known = set(columns) <= set(dataset.columns)
    return dataset_groups(dataset, columns) if known else [""] * len(dataset)


def _of_table(
    table: Mapping[str, Sequence[object]] | Mapping[str, Column], columns: Sequence[str], count: int
) -> list[str]:
    if not set(columns) <= set(table):
        return [""] * count
    for name in columns:
        if len(table[name]) != count:
            raise DataError(f"{name!r} has {len(table[name])} rows, the others have {count}; give each row one value")
    return [group_name("", columns, values) for values in zip(*(list(table[name]) for name in columns), strict=True)]
