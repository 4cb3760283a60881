"""Files that lie in a table as bytes, as the library `datasets` and Parquet files of the hub keep images and recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from deconfound.extraction.kinds import RawKind, kind_of_bytes, kind_of_name

FIELDS = {"bytes", "path"}
"""Fields of a cell; either may be None."""


class EmbeddedFiles(Sequence[Any]):
    """N cells of a column of Arrow, of which none is in memory longer than it is used.

    Args:
        column: a chunked array of pyarrow whose type `holds_files` accepts.
    """

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Any]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return EmbeddedFiles(self._column[row])
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return embedded(self._column[row].as_py())

    def kind(self) -> RawKind | None:
        """What the first file is by the ending of its name, or else by its first bytes; None where neither says it."""
        for row in range(len(self)):
            cell = self._column[row].as_py()
            if embedded(cell) is not None:
                named = None if not isinstance(cell.get("path"), str) else kind_of_name(cell["path"])
                return named or (kind_of_bytes(cell["bytes"]) if cell.get("bytes") else None)
        return None


def holds_files(kind: Any) -> bool:
    """Whether a type of Arrow is that of files as bytes."""
    import pyarrow.types as is_

    return (
        is_.is_struct(kind) and {field.name for field in kind} == FIELDS and not is_.is_null(kind.field("bytes").type)
    )


def embedded(cell: Mapping[str, Any] | None) -> bytes | str | None:
    """The bytes of a file, else its path, else None."""
    if cell is None:
        return None
    return cell.get("bytes") or cell.get("path") or None
