"""The TOML of a table and the files it names: a manifest with one row per sample, and one array per modality."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deconfound.data.signal import Signal
from deconfound.datasets.arrays import array_signal, resolve_inside
from deconfound.datasets.manifest import Values, column, numbers, read_manifest, texts
from deconfound.datasets.toml_file import read_data_toml
from deconfound.errors import DataError
from deconfound.registry import explain

_Model = TypeVar("_Model", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TargetSpec(_Part):
    """[target]"""

    column: str
    kind: Literal["regression", "classification"]
    classes: tuple[str, ...] | None = None
    loss: Literal["mse", "l1"] | None = None
    protocol: str | None = None


class SplitSpec(_Part):
    """[split]: a column, or groups with a seed and shares; with a column, no two splits may share a `group`."""

    column: str | None = None
    group: tuple[str, ...] | None = None
    seed: int | None = Field(None, ge=0)
    shares: dict[str, float] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        random = (self.seed, self.shares)
        if self.column is None and self.group and None in random:
            raise ValueError("a random split needs group, seed and shares, all three")
        if (self.column is None and not self.group) or (self.column is not None and random != (None, None)):
            raise ValueError("a split is either a column, or group, seed and shares")
        return self


class ArraySpec(_Part):
    """[modalities.NAME]"""

    file: str
    key: str | None = None
    row: str | None = None
    kind: Literal["vector", "sequence", "image", "tokens"] | None = None
    lengths: str | None = None


class TableSpec(_Part):
    """The whole TOML; `target` and `split` may be absent when only inputs are read."""

    name: str | None = None
    manifest: str
    id: str = "id"
    environment: tuple[str, ...] = ()
    metadata: tuple[str, ...] | None = None
    target: TargetSpec | None = None
    split: SplitSpec | None = None
    modalities: dict[str, dict[str, Any]] = Field(min_length=1)


class TableSource:
    """A TOML and its manifest, read and checked."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.spec = _validate(TableSpec, read_data_toml(self.path, "description of the table"), str(self.path))
        self.manifest = resolve_inside(self.path.parent, self.spec.manifest)
        self.columns = read_manifest(self.manifest)
        self.ids = self.texts(self.spec.id)
        repeated, count = Counter(self.ids).most_common(1)[0]
        if count > 1:
            raise DataError(f"{self.manifest}: id {repeated!r} occurs {count} times; ids must be unique")

    def column(self, name: str) -> Values:
        return column(self.columns, name, self.manifest)

    def texts(self, name: str) -> list[str]:
        """A column as text, which no row may leave empty."""
        values = texts(self.column(name))
        if "" in values:
            raise DataError(f"{self.manifest}: row {values.index('') + 1} has no {name!r}; every row needs one")
        return values

    def numbers(self, name: str) -> np.ndarray:
        return numbers(self.column(name), f"{self.manifest}: {name!r}")

    def signals(self) -> tuple[dict[str, Signal], dict[str, dict[str, int]]]:
        """All modalities, and how many steps of each were masked."""
        signals: dict[str, Signal] = {}
        masks: dict[str, dict[str, int]] = {}
        for name, array in self.spec.modalities.items():
            what = f"{self.path}: modalities.{name}"
            spec = _validate(ArraySpec, array, what)
            signals[name], masks[name] = array_signal(
                resolve_inside(self.path.parent, spec.file),
                key=spec.key,
                kind=spec.kind,
                rows=None if spec.row is None else self.numbers(spec.row),
                lengths=None if spec.lengths is None else self.numbers(spec.lengths),
                ids=self.ids,
                what=what,
            )
        return signals, masks


def read_inputs(path: str | Path) -> tuple[dict[str, Signal], list[str]]:
    """Read only the inputs; [target] and [split] are ignored and may be absent.

    Args:
        path: the TOML of a table.

    Returns:
        modality name → `Signal` of N rows, and the N ids, in the order of the manifest.

    Raises:
        DataError: a file, column, shape or id that is not as described, in one line.
    """
    table = TableSource(path)
    return table.signals()[0], table.ids


def _validate(model: type[_Model], values: dict[str, Any], what: str) -> _Model:
    try:
        return model(**values)
    except ValidationError as error:
        raise DataError(f"{what}: {explain(error, model)}") from error
