"""Your own data: a manifest with one row per sample, one array file per modality, and a TOML that names the columns.

```toml
name = "corpus"                  # optional; default: the TOML's name without its ending
manifest = "rows.csv"            # .csv, .jsonl or .parquet (needs deconfound[data])
id = "id"                        # optional, default "id": a column of unique texts
environment = ["speaker"]        # optional: the columns whose combinations are the environments
metadata = ["speaker", "room"]   # optional; default: every column but id, target and split; those of environment
                                 # and group are always there, and are text

missing = ["NA", "nan"]          # optional: the words that mean "no value", whatever their case; default: those of
                                 # deconfound.data.missing_words, such as NA, N/A, NaN, None and null

[target]
column = "label"
kind = "classification"          # or "regression"; default: by the labels, as in memory
classes = ["sad", "happy"]       # optional; default: the labels that occur, sorted
# loss = "mse"                   # of a regression: "mse" (default) or "l1"
# protocol = "mmsa-regression"   # optional: the metric protocol; default "classification" or "regression"
# columns = ["happy", "sad"]     # in the place of column and kind: several labels a row, a 0/1 column each; or a column
                                 # of names with kind = "multilabel" and separator = "|"
# unlabelled = "drop"            # rows without a label: "refuse" (default), or "drop" to leave them out

[split]                          # optional; default: the column "split", else rows at random
                                 # either a column of split names ...
column = "split"                 # "train", "valid" (or "val", "dev", "validation"); all other names are test splits
# valid = 0.15                   # take this share of train as "valid", where the column has none
# shares = { train = 0.7, valid = 0.15, test = 0.15 }   # ... or rows at random
# group = ["speaker"]            # of both: every group falls into one split
# seed = 0                       # of the draw; default: 0
# stratify = true                # hold the classes, or the quarters of a number, in equal shares in all splits; default:
                                 # true, with group false

[modalities.audio]
file = "audio.npy"               # or .npz; row i belongs to row i of the manifest
# key = "values"                 # array in an .npz; default: "values", or the only one
# row = "audio_row"              # a column with the array's row of each sample, from 0, where it is not row i;
                                 # blank where the sample lacks the modality
# kind = "sequence"              # see below
lengths = "frames"               # optional: a column with the number of steps of each row
# invalid = "frame"              # what a NaN or infinite value takes with it: its "feature" (default), "frame" or "row"
# indicator = true               # add a column that is 1 where an imputed feature was not finite

[modalities.text]
column = "text"                  # raw samples: texts, or paths of images, recordings or videos; see below
# kind = "text"                  # "text", "image", "audio" or "video"; default: by the endings of the paths
# extractor = "sentence"         # what makes arrays of them; default: "sentence", "image-vector", "log-mel", "frames"
# folder = "media"               # the folder that the paths stay in; default: the folder of the TOML
# most_broken = 0.05             # largest share of samples that may be unreadable; their rows lack the modality

[modalities.record]
columns = ["age", "city"]        # columns of numbers and categories, side by side as one vector
# categorical = ["zip"]          # those whose numbers are names of categories
# most_categories = 100          # of a column, with a column of their own; all others share one
# like = "runs/0"                # a store or run whose categories and scales are taken, in the place of those of train
```

The kind says how to read the axes of the array: "vector" (N, D), "sequence" (N, T, D), "image" (N, H, W) or
(N, channels, H, W), "tokens" (N, T) integers from 0. By default two axes are a vector and three or more a sequence of T
steps. Numbers are kept as float32, tokens as int64.

A sample lacks a modality where its `row` is blank or its `lengths` 0. Arrays of unequal length are padded with zeros at
the end to (N, T, D).

The steps that exist are the first `lengths` of each row, or those in the array `mask` (N, T) or `lengths` (N,) of an
`.npz`, or else all. A NaN or infinite value is set to the training mean of its feature; a step of which more than half
is not finite is masked, so a row of NaN is an absent modality; a feature that is not finite in more than nine of ten
training steps is left out (`deconfound.datasets.repair`). All are counted. A zero is a value.

Raw samples are extracted once, at import, and cached by their content in $DECONFOUND_CACHE or ~/.cache/deconfound, so
that an import that was stopped goes on where it was. An extractor with arguments is a table, such as
`extractor = { name = "word-pieces", most = 64 }`; 'deconfound list extractors' names them. The store and every run
remember how the samples were read, and `deconfound predict` reads new ones alike.

Paths are relative to the TOML and stay in its folder. Nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings.row_order import BLOCKS, split_blocks
from deconfound.data.splits import known_names, rows_by_split
from deconfound.data.task import Task
from deconfound.data.validation import check_resolution
from deconfound.datasets.fold_rows import joined_groups
from deconfound.datasets.label_sets import LabelMatrix
from deconfound.datasets.manifest import as_metadata
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.steps import sha256
from deconfound.datasets.stratified import shares_split, strata_of
from deconfound.datasets.table_defaults import with_kind, with_split
from deconfound.datasets.table_source import TableSource
from deconfound.datasets.table_spec import SplitSpec, TableSpec, TargetSpec
from deconfound.datasets.validation_share import validation_note, validation_rows
from deconfound.errors import DataError, did_you_mean

Labels = list[str] | np.ndarray | LabelMatrix
"""Class names, numbers, or several labels of each row."""


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
    if spec.target is None:
        raise DataError(
            f"{table.path}: there is no [target], which names the column of the labels; 'deconfound data import --help' "
            "shows one"
        )
    wanted, of_target = with_kind(table, spec.target)
    how, of_split = with_split(table)
    _check_inputs(spec, how)
    labels = table.labels(wanted)
    split, notes = _split(table, how, labels)
    kept = _labelled(labels)
    task, target = _target(table, wanted, labels, kept)
    places = np.array(rows_by_split([split[row] for row in kept]), dtype=np.int64)
    order = kept[places]
    train = np.isin(np.arange(len(split)), kept) & (np.asarray(split, dtype=object) == "train")
    signals, masks = table.signals(train, order=order)
    return Dataset.build(
        spec.name or table.path.stem,
        task,
        signals,
        target[torch.from_numpy(places)],
        {name: values[order] for name, values in _metadata(table, wanted, how).items()},
        [split[row] for row in order],
        environment=spec.environment,
        group=(how.group or ()) if spec.split is not None else (),
        provenance={
            "format": "table",
            "file": table.path.name,
            "manifest": spec.manifest,
            "target": wanted.column or list(wanted.names),
            "sha256": sha256(table.manifest),
            **notes,
            "split": how.model_dump(mode="json", exclude_none=True),
            "assumed": [*of_target, *of_split],
            "masks": masks,
            "unlabelled_rows_dropped": len(split) - len(kept),
        },
    )


def _check_inputs(spec: TableSpec, split: SplitSpec) -> None:
    """Check that no modality reads the labels, the splits or the ids as columns of a table.

    Raises:
        DataError: one does.
    """
    served = {
        "id": (spec.id,),
        "target": spec.target.names if spec.target else (),
        "split": (split.column,),
    }
    for name, array in spec.modalities.items():
        read = array["columns"] if isinstance(array.get("columns"), list) else []
        for purpose, columns in served.items():
            used = next((column for column in read if column in columns), None)
            if used is not None:
                raise DataError(f"modalities.{name}: {used!r} is the {purpose}; a model must not read it: leave it out")


def _metadata(table: TableSource, target: TargetSpec, split: SplitSpec) -> dict[str, np.ndarray]:
    """(N,) values of each column that is kept, the ids among them."""
    spec = table.spec
    used = {spec.id, *target.names, split.column} | table.raw_columns
    names = spec.metadata if spec.metadata is not None else [name for name in table.columns if name not in used]
    as_text = {*spec.environment, *(split.group or ())}
    columns = {
        name: np.array(table.texts(name), dtype=object) if name in as_text else as_metadata(table.column(name))
        for name in dict.fromkeys((*names, *spec.environment, *(split.group or ())))
        if name not in ("id", "split")
    }
    return columns | {"id": np.array(table.ids, dtype=object)}


def _labelled(labels: Labels) -> np.ndarray:
    """(R,) rows that have a label."""
    if isinstance(labels, LabelMatrix):
        return np.flatnonzero(labels.labelled)
    there = ~np.isnan(labels) if isinstance(labels, np.ndarray) else np.array([label != "" for label in labels])
    return np.flatnonzero(there)


def _split(table: TableSource, spec: SplitSpec, labels: Labels) -> tuple[list[str], dict[str, Any]]:
    """(N) names of splits, and what the provenance says of them."""
    groups = ["\x1f".join(row) for row in zip(*map(table.texts, spec.group or (table.spec.id,)), strict=True)]
    strata = None
    if spec.drawn_by_class:
        strata = labels.strata if isinstance(labels, LabelMatrix) else strata_of(labels)
    renamed: dict[str, str] = {}
    notes: dict[str, Any] = {"renamed_splits": renamed, BLOCKS: False}
    if spec.column is not None:
        renamed |= known_names(table.texts(spec.column))
        split = [renamed.get(name, name) for name in table.texts(spec.column)]
        notes[BLOCKS] = split_blocks(split)
        if spec.valid is not None:
            labelled = set(_labelled(labels).tolist())
            split = [name if row in labelled else "" for row, name in enumerate(split)]
            split, notes["validation_taken"] = _with_validation(table, spec, split, strata)
    else:
        assert spec.shares is not None
        split = shares_split(groups, strata, spec.shares, spec.seed or 0)
    if "train" not in split:
        raise DataError(
            f"{table.path}: the split 'train' is empty, and a model learns from it{did_you_mean('train', set(split))}"
        )
    return split, notes


def _with_validation(
    table: TableSource, spec: SplitSpec, split: list[str], strata: list[str] | None
) -> tuple[list[str], dict[str, Any]]:
    """(N) names of splits with a share of train as "valid", and what was done."""
    assert spec.valid is not None
    codes = [np.unique(table.texts(name), return_inverse=True)[1] for name in spec.group or ()]
    units = joined_groups(codes, len(split))
    try:
        taken = validation_rows(split, units, strata, spec.valid, spec.seed or 0)
    except DataError as error:
        raise DataError(f"{table.path}: {error}") from None
    stratify, seed = spec.drawn_by_class, spec.seed or 0
    return taken, validation_note(taken, spec.valid, spec.group or (), stratify=stratify, seed=seed)


def _target(table: TableSource, spec: TargetSpec, labels: Labels, kept: np.ndarray) -> tuple[Task, torch.Tensor]:
    """The task, and the (R,) or (R, L) labels of the kept rows."""
    where = f"{table.path}: target"
    if isinstance(labels, LabelMatrix):
        if spec.loss is not None:
            raise DataError(f"{where}: a multilabel target has no loss to choose; remove it")
        return Task.multilabel(labels.names, protocol=spec.protocol or "multilabel"), labels.target[kept]
    if isinstance(labels, np.ndarray):
        if spec.classes is not None:
            raise DataError(f"{where}: a regression has no classes; remove them")
        check_resolution(where, torch.from_numpy(labels[kept].astype(np.float64)))
        with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, which `check_rows` refuses
            target = torch.from_numpy(labels[kept].astype(np.float32))
        return Task.regression(loss=spec.loss or "mse", protocol=spec.protocol or "regression"), target
    if spec.loss is not None:
        raise DataError(f"{where}: a classification has no loss to choose; remove it")
    names = [labels[row] for row in kept]
    classes = spec.classes or tuple(sorted(set(names), key=int if all(map(str.isdecimal, names)) else str))
    number = {label: code for code, label in enumerate(classes)}
    unknown = next((row for row in kept if labels[row] not in number), None)
    if unknown is not None:
        label = labels[unknown]
        raise DataError(
            f"{where}: {table.ids[unknown]!r} has the unknown class {label!r}{did_you_mean(label, classes)}"
        )
    task = Task.classification(classes, protocol=spec.protocol or "classification")
    return task, torch.tensor([number[name] for name in names], dtype=torch.int64)
