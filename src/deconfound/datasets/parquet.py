"""Reading the columns of a Parquet file, within limits that are checked before anything is unpacked."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from deconfound.errors import DataError
from deconfound.extraction.embedded import embedded, holds_files
from deconfound.io.limits import ARRAYS, LEAST_CELLS, check_size
from deconfound.io.reading import FileKind, check_regular, reading, shown

_BYTES_PER_CELL = 64
"""Memory of a cell as a Python value in a list, about."""


def read_parquet(path: Path, kind: FileKind, files: Collection[str] = ()) -> dict[str, list[Any]]:
    """Column name → values: text, numbers, booleans, and None for a missing value.

    Args:
        files: columns that may also hold files, as their bytes or paths.

    Raises:
        DataError: no pyarrow, a damaged file, a column of another type, or a file that would need too much memory.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError(f"{shown(path)}: reading Parquet needs pyarrow; pip install 'deconfound[data]'") from error
    size = check_regular(path, kind)
    with reading(path, kind), pq.ParquetFile(path) as file:
        _check_types(path, file.schema_arrow, files)
        _check_memory(path, file.metadata, size)
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    with reading(path, kind), pq.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read()
        return {name: _values(column) for name, column in zip(table.column_names, table.columns, strict=True)}


def _is_text(kind: Any) -> bool:
    import pyarrow.types as is_

    return is_.is_string(kind) or is_.is_large_string(kind)


def _check_types(path: Path, schema: Any, files: Collection[str]) -> None:
    import pyarrow.types as is_

    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{shown(path)}: a column name occurs twice; give each column its own")
    for field in schema:
        inner = field.type.value_type if is_.is_dictionary(field.type) else field.type
        numbers = is_.is_integer(inner) or is_.is_floating(inner) or is_.is_boolean(inner) or is_.is_null(inner)
        if not numbers and not _is_text(inner) and not (field.name in files and holds_files(inner)):
            raise DataError(
                f"{shown(path)}: the column {field.name!r} holds {str(inner)[:40]}; a manifest holds text and numbers: "
                "leave the column out or write it as text"
            )


def _check_memory(path: Path, metadata: Any, size: int) -> None:
    """Rows packed well need far more memory than the file has bytes."""
    rows, columns = metadata.num_rows, metadata.num_columns
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    unpacked = sum(max(0, group.total_byte_size) for group in groups)
    rows = max(rows, sum(group.num_rows for group in groups))
    if rows * columns > LEAST_CELLS or unpacked > size:
        check_size(shown(path), unpacked + rows * columns * _BYTES_PER_CELL, ARRAYS, DataError, "unpacks to")


def _values(column: Any) -> list[Any]:
    """A column as Python values; a text that occurs often is one object, however long it is."""
    import pyarrow.types as is_

    values: list[Any] = []
    for chunk in column.chunks:
        if is_.is_dictionary(chunk.type):
            distinct = [*chunk.dictionary.to_pylist(), None]
            values += [distinct[-1 if code is None else code] for code in chunk.indices.to_pylist()]
        elif is_.is_struct(chunk.type):
            values += map(embedded, chunk.to_pylist())
        else:
            values += chunk.to_pylist()
    return [None if value is None or value != value else value for value in values]
