"""Metadata columns held as plain tensors, so that opening a store decodes none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from deconfound.errors import DataError
from deconfound.io.limits import is_encodable

_TEXT = ("codes", "bytes", "ends")


class MetadataColumn:
    """One value per row: numbers, or text held as codes into distinct UTF-8 strings.

    Args:
        parts: {"values": (N,) numbers} or {"codes": (N,) int32, "bytes": (L,) uint8, "ends": (U,) int64}, where string u is
            bytes[ends[u-1]:ends[u]].
    """

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        if set(parts) != {"values"} and set(parts) != set(_TEXT):
            raise DataError(f"a column holds 'values' or {_TEXT}; got {sorted(parts)}")
        self.parts = dict(parts)

    @classmethod
    def of(cls, values: Sequence[object] | np.ndarray | Tensor) -> MetadataColumn:
        """Keep numbers; convert anything else to text, with None and NaN among text as the empty string."""
        array = values.numpy() if isinstance(values, Tensor) else _array(values)
        if array.dtype.kind in "biuf":
            wide = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
            return cls({"values": torch.from_numpy(np.ascontiguousarray(wide))})
        texts = ["" if value is None or value != value else str(value) for value in array.tolist()]
        distinct = sorted(set(texts))  # not np.unique, which would make each text as wide as the longest
        code = {text: position for position, text in enumerate(distinct)}
        codes = np.fromiter((code[text] for text in texts), dtype=np.int32, count=len(texts))
        broken = next((text for text in distinct if not is_encodable(text)), None)
        if broken is not None:
            raise DataError(
                f"the text {broken[:40]!r} holds half a character, which UTF-8 lacks; write whole characters"
            )
        encoded = [text.encode() for text in distinct]
        joined = np.frombuffer(b"".join(encoded), dtype=np.uint8).copy()
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        return cls(
            {
                "codes": torch.from_numpy(codes),
                "bytes": torch.from_numpy(joined),
                "ends": torch.from_numpy(ends),
            }
        )

    def __len__(self) -> int:
        return len(self.parts.get("values", self.parts.get("codes", torch.empty(0))))

    @cached_property
    def values(self) -> np.ndarray:
        """(N,) int64, float64 or object (str)."""
        if "values" in self.parts:
            return self.parts["values"].numpy()
        return self.distinct[self.parts["codes"].numpy()] if len(self) else np.empty(0, dtype=object)

    @cached_property
    def distinct(self) -> np.ndarray:
        """(U,) distinct values, sorted."""
        if "values" in self.parts:
            return np.unique(self.values)
        joined, ends = self.parts["bytes"].numpy().tobytes(), self.parts["ends"].tolist()
        starts = [0, *ends[:-1]]
        return np.array([joined[a:b].decode() for a, b in zip(starts, ends, strict=True)], dtype=object)

    @cached_property
    def codes(self) -> Tensor:
        """(N,) int64 positions in `distinct`."""
        if "codes" in self.parts:
            return self.parts["codes"].long()
        return torch.from_numpy(np.searchsorted(self.distinct, self.values)).long()

    def select(self, rows: Tensor | slice) -> MetadataColumn:
        """The rows in that order; `distinct` may then hold texts that no row uses."""
        rowwise = "values" if "values" in self.parts else "codes"
        return MetadataColumn({**self.parts, rowwise: self.parts[rowwise][rows]})


def _array(values: Sequence[object] | np.ndarray) -> np.ndarray:
    """(N,) array; a list with a text becomes one of objects, because fixed-width text is as wide as the longest."""
    if isinstance(values, np.ndarray):
        return values
    return np.asarray(values, dtype=object if any(isinstance(value, str) for value in values) else None)


class Columns(Mapping[str, MetadataColumn]):
    """Column name → `MetadataColumn`."""

    def __init__(self, columns: Mapping[str, MetadataColumn | Sequence[object] | np.ndarray | Tensor]) -> None:
        self._columns = {
            name: values if isinstance(values, MetadataColumn) else MetadataColumn.of(values)
            for name, values in columns.items()
        }

    def __getitem__(self, name: str) -> MetadataColumn:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def select(self, rows: Tensor | slice) -> Columns:
        """The rows in that order, for every column."""
        return Columns({name: column.select(rows) for name, column in self._columns.items()})
