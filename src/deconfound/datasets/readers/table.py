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
# key = "values"                 # array in an .npz; default: "values", or the only one
# row = "audio_row"              # a column with the array's row of each sample, from 0, where it is not row i
# kind = "sequence"              # see below
lengths = "frames"               # optional: a column with the number of steps of each row
```

The kind says how to read the axes of the array: "vector" (N, D), "sequence" (N, T, D), "image" (N, H, W) or
(N, channels, H, W), "tokens" (N, T) integers from 0. By default two axes are a vector and three or more a sequence of T
steps. Numbers are kept as float32, tokens as int64.

The steps that exist are the first `lengths` of each row, or those in the array `mask` (N, T) or `lengths` (N,) of an
`.npz`, or else all. A step with a NaN or infinite value is masked and counted, so a row of NaN is an absent
modality. A zero is a value.

Paths are relative to the TOML and stay in its folder. Nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.data.validation import check_resolution
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.manifest import as_metadata
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.steps import sha256
from deconfound.datasets.table_source import SplitSpec, TableSource, TargetSpec
from deconfound.errors import DataError, did_you_mean


class TableReader(Reader):
    """Read your own data: a TOML that names a manifest and one array file per modality."""

    card = ReaderCard(
        source="your own data",
        licence="the terms of your data",
        access="write a TOML beside your files; 'deconfound data import --help' shows one",
        layout="a manifest (.csv, .jsonl or .parquet) with one row per sample, one .npy or .npz per modality, and a TOML "
        "that names them; 'python -m pydoc deconfound.datasets.readers.table' explains each line",
    )

    def read(self, path: Path) -> Dataset:
        return read_table(path)


def read_table(path: str | Path) -> Dataset:
    """Read the data that a TOML describes.

    Args:
        path: the TOML.

    Raises:
        DataError: a file, column, shape, label or id that is not as described, in one line.
    """
    table = TableSource(path)
    spec = table.spec
    if spec.target is None or spec.split is None:
        raise DataError(
            f"{table.path}: there is no [{'target' if spec.target is None else 'split'}]; a dataset needs both"
        )
    split = _split(table, spec.split)
    task, target = _target(table, spec.target)
    used = {spec.id, spec.target.column, spec.split.column}
    names = spec.metadata if spec.metadata is not None else [name for name in table.columns if name not in used]
    columns = dict.fromkeys((*names, *spec.environment, *(spec.split.group or ())))
    as_text = {*spec.environment, *(spec.split.group or ())}
    metadata: dict[str, Any] = {
        name: np.array(table.texts(name), dtype=object) if name in as_text else as_metadata(table.column(name))
        for name in columns
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


def _split(table: TableSource, spec: SplitSpec) -> list[str]:
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


def _target(table: TableSource, spec: TargetSpec) -> tuple[Task, torch.Tensor]:
    where = f"{table.path}: target"
    if spec.kind == "regression":
        if spec.classes is not None:
            raise DataError(f"{where}: a regression has no classes; remove them")
        target = torch.from_numpy(table.numbers(spec.column).astype(np.float64))
        check_resolution(where, target)
        return Task.regression(loss=spec.loss or "mse", protocol=spec.protocol or "regression"), target.float()
    if spec.loss is not None:
        raise DataError(f"{where}: a classification has no loss to choose; remove it")
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
