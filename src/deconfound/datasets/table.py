"""Your own data: a manifest with one row per sample, one array file per modality, and a TOML that names the columns.

```toml
name = "corpus"                  # optional; default: the TOML's name without its ending
manifest = "rows.csv"            # .csv, .jsonl or .parquet (needs deconfound[data])
id = "id"                        # optional, default "id": a column of unique texts
environment = ["speaker"]        # optional: the columns whose combinations are the environments
metadata = ["speaker", "room"]   # optional; default: every column but id, target and split; those of environment
                                 # and group are always there, and are text

[target]
column = "label"
kind = "classification"          # or "regression"
classes = ["sad", "happy"]       # optional; default: the labels that occur, sorted
# loss = "mse"                   # of a regression: "mse" (default) or "l1"
# protocol = "mmsa-regression"   # optional: the metric protocol; default "classification" or "regression"

[split]                          # either a column of split names ...
column = "split"                 # "train", "valid"; all other names are test splits
# group = ["speaker"]            # ... or whole groups at random: every group falls into one split
# seed = 0
# shares = { train = 0.7, valid = 0.15, test = 0.15 }

[modalities.audio]
file = "audio.npy"               # or .npz; row i belongs to row i of the manifest
# key = "values"                 # which array of an .npz; default: "values", or the only one
# row = "audio_row"              # a column with the array's row of each sample, from 0, where it is not row i
# kind = "sequence"              # see below
lengths = "frames"               # optional: a column with the number of steps of each row
```

The kind tells how to read the array's axes: "vector" (N, D), "sequence" (N, T, D), "image" (N, H, W) or
(N, channels, H, W), "tokens" (N, T) integers from 0. By default two axes are a vector and three or more a sequence of T
steps. Numbers are kept as float32, tokens as int64.

Which steps exist: the first `lengths` of each row; or, of an `.npz`, what its array `mask` (N, T) says, or its array
`lengths` (N,). Otherwise all. A step with a NaN or infinite value is masked and counted, so a row of NaN is an absent
modality; a zero is a value like any other.

Paths are relative to the TOML and stay in its folder. Nothing is unpickled.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.arrays import array_signal, inside
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.manifest import Values, as_metadata, column, numbers, read_manifest, texts
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError, did_you_mean
from deconfound.protocol import protocol_of
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
    """[split]: a column, or groups with a seed and shares; with a column, `group` is what no two splits may share."""

    column: str | None = None
    group: tuple[str, ...] | None = None
    seed: int | None = Field(None, ge=0)
    shares: dict[str, float] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        drawn = (self.seed, self.shares)
        if self.column is None and self.group and None in drawn:
            raise ValueError("a random split needs group, seed and shares, all three")
        if (self.column is None and not self.group) or (self.column is not None and drawn != (None, None)):
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
    """The whole TOML; `target` and `split` may be absent where only inputs are read."""

    name: str | None = None
    manifest: str
    id: str = "id"
    environment: tuple[str, ...] = ()
    metadata: tuple[str, ...] | None = None
    target: TargetSpec | None = None
    split: SplitSpec | None = None
    modalities: dict[str, dict[str, Any]] = Field(min_length=1)


class _Manifest:
    """A TOML with its manifest, read and checked."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.spec = _checked(TableSpec, read_toml(self.path), str(self.path))
        self.manifest = inside(self.path.parent, self.spec.manifest)
        self.columns = read_manifest(self.manifest)
        self.ids = self.texts(self.spec.id)
        twice, count = Counter(self.ids).most_common(1)[0]
        if count > 1:
            raise DataError(f"{self.manifest}: id {twice!r} occurs {count} times; ids must be unique")

    def column(self, name: str) -> Values:
        return column(self.columns, name, self.manifest)

    def texts(self, name: str) -> list[str]:
        """A column in which every row says something."""
        found = texts(self.column(name))
        if "" in found:
            raise DataError(f"{self.manifest}: row {found.index('') + 1} has no {name!r}; every row needs one")
        return found

    def numbers(self, name: str) -> np.ndarray:
        return numbers(self.column(name), f"{self.manifest}: {name!r}")

    def signals(self) -> tuple[dict[str, Signal], dict[str, dict[str, int]]]:
        """All modalities, and how many steps of each were masked."""
        signals: dict[str, Signal] = {}
        masks: dict[str, dict[str, int]] = {}
        for name, given in self.spec.modalities.items():
            what = f"{self.path}: modalities.{name}"
            spec = _checked(ArraySpec, given, what)
            signals[name], masks[name] = array_signal(
                inside(self.path.parent, spec.file),
                key=spec.key,
                kind=spec.kind,
                rows=None if spec.row is None else self.numbers(spec.row),
                lengths=None if spec.lengths is None else self.numbers(spec.lengths),
                ids=self.ids,
                what=what,
            )
        return signals, masks


def read_table(path: str | Path) -> Dataset:
    """Read the data that a TOML describes.

    Raises:
        DataError: a file, column, shape, label or id that is not as described, each in one line.
    """
    table = _Manifest(path)
    spec = table.spec
    if spec.target is None or spec.split is None:
        raise DataError(
            f"{table.path}: there is no [{'target' if spec.target is None else 'split'}]; a dataset needs both"
        )
    split = _split(table, spec.split)
    task, target = _target(table, spec.target)
    protocol_of(task.protocol, task.kind)
    used = {spec.id, spec.target.column, spec.split.column}
    names = spec.metadata if spec.metadata is not None else [name for name in table.columns if name not in used]
    wanted = dict.fromkeys((*names, *spec.environment, *(spec.split.group or ())))
    as_text = {*spec.environment, *(spec.split.group or ())}
    metadata: dict[str, Any] = {
        name: np.array(table.texts(name), dtype=object) if name in as_text else as_metadata(table.column(name))
        for name in wanted
        if name not in ("id", "split")
    }
    signals, masks = table.signals()
    return Dataset.build(
        spec.name or table.path.stem,
        task,
        signals,
        target,
        metadata | {"id": np.array(table.ids, dtype=object)},
        split,
        environment=spec.environment,
        group=spec.split.group or (),
        provenance={
            "format": "table",
            "file": table.path.name,
            "manifest": spec.manifest,
            "sha256": sha256(table.manifest),
            "split": spec.split.model_dump(mode="json", exclude_none=True),
            "masks": masks,
        },
    )


def read_inputs(path: str | Path) -> tuple[dict[str, Signal], list[str]]:
    """Read only what a prediction needs; [target] and [split] are not looked at and may be absent.

    Returns:
        modality name → `Signal` of N rows, and the N ids, in the order of the manifest.

    Raises:
        DataError: as `read_table`.
    """
    table = _Manifest(path)
    return table.signals()[0], table.ids


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict.

    Raises:
        DataError: it cannot be read or is no TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no TOML: {error}; see 'deconfound data import --help' for an example") from error


def _checked(model: type[_Model], given: dict[str, Any], what: str) -> _Model:
    try:
        return model(**given)
    except ValidationError as error:
        raise DataError(f"{what}: {explain(error, model)}") from error


def _split(table: _Manifest, spec: SplitSpec) -> list[str]:
    if spec.column is not None:
        split = table.texts(spec.column)
    else:
        assert spec.group is not None
        assert spec.shares is not None
        assert spec.seed is not None
        rows = zip(*(table.texts(name) for name in spec.group), strict=True)
        split = grouped_split(["\x1f".join(row) for row in rows], spec.shares, spec.seed)
    if "train" not in split:
        raise DataError(f"{table.path}: the split 'train' is empty{did_you_mean('train', set(split))}")
    return split


def _target(table: _Manifest, spec: TargetSpec) -> tuple[Task, torch.Tensor]:
    where = f"{table.path}: target"
    if spec.kind == "regression":
        if spec.classes is not None:
            raise DataError(f"{where}: a regression has no classes; leave them out")
        target = torch.from_numpy(table.numbers(spec.column).astype(np.float32))
        return Task.regression(loss=spec.loss or "mse", protocol=spec.protocol or "regression"), target
    if spec.loss is not None:
        raise DataError(f"{where}: a classification has no loss to choose; leave it out")
    labels = table.texts(spec.column)
    classes = spec.classes or tuple(sorted(set(labels), key=int if all(map(str.isdecimal, labels)) else str))
    number = {label: code for code, label in enumerate(classes)}
    unknown = next((row for row, label in enumerate(labels) if label not in number), None)
    if unknown is not None:
        label = labels[unknown]
        raise DataError(
            f"{where}: {table.ids[unknown]!r} has the unknown class {label!r}{did_you_mean(label, classes)}"
        )
    task = Task.classification(classes, protocol=spec.protocol or "classification")
    return task, torch.tensor([number[label] for label in labels], dtype=torch.int64)
