"""`dataset`: a frame, arrays and lists in memory as a `Dataset`, with splits, masks and environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings.row_order import BLOCKS, split_blocks
from deconfound.data.signal import Signal
from deconfound.data.splits import known_names, rows_by_split
from deconfound.data.task import Kind, Task, TaskKind
from deconfound.datasets.frames import numbers_of
from deconfound.datasets.in_memory_raw import ExtractorChoice, holds_images, is_raw, prepared_signal
from deconfound.datasets.in_memory_rows import MemoryRows, memory_rows
from deconfound.datasets.in_memory_signal import repaired, steps_of
from deconfound.datasets.in_memory_split import random_split, shares_of, split_names, validation_split
from deconfound.datasets.in_memory_target import read_labels
from deconfound.datasets.repair import Fitting, Invalid
from deconfound.datasets.tabular.columns import Table, chosen_table
from deconfound.datasets.tabular.fit import TabularOptions, table_line, tabular_signal
from deconfound.datasets.validation_share import validation_note, validation_text
from deconfound.errors import DataError, did_you_mean
from deconfound.extraction.kinds import RawKind

ModalityKind = Kind | RawKind | Literal["table"]
"""How to read the axes of an array, what raw samples are, or columns of a table."""


def dataset(
    frame: object = None,
    /,
    *,
    target: object,
    split: object = None,
    valid: float | None = None,
    environment: object = (),
    group: object = (),
    id: object = None,  # noqa: A002 (the word of tables)
    task: Task | TaskKind | None = None,
    classes: Sequence[object] | None = None,
    loss: Literal["mse", "l1"] | None = None,
    protocol: str | None = None,
    modalities: Mapping[str, object] = MappingProxyType({}),
    kinds: Mapping[str, ModalityKind] = MappingProxyType({}),
    lengths: Mapping[str, object] = MappingProxyType({}),
    extractors: Mapping[str, ExtractorChoice] = MappingProxyType({}),
    categorical: Sequence[str] = (),
    metadata: Sequence[str] | None = None,
    invalid: Invalid = "feature",
    unlabelled: Literal["refuse", "drop"] = "refuse",
    stratify: bool = True,
    seed: int = 0,
    name: str = "dataset",
    quiet: bool = False,
    **columns: object,
) -> Dataset:
    """A dataset of what is in memory; every other keyword names a modality.

    `dataset(frame, target="label", text="embedding", audio=array, environment="speaker")` takes the column "embedding"
    of the frame as the modality "text" and an array as "audio". `repr` of the result says in five lines what was read.

    Args:
        frame: of pandas or polars, a Hugging Face dataset, a dict of columns, a list of rows, or left out.
        target: the labels: a column of the frame, several 0/1 columns, or N texts, booleans, numbers or lists of texts; see
            `read_labels`.
        split: a column of split names, N of them, or shares such as {"train": 0.6, "valid": 0.2, "test": 0.2}; by default
            the column "split" if the frame has one, else these shares.
        valid: share of the rows of "train" to take as "valid", where a column of splits names none; whole groups of them.
        environment: columns whose combinations are the environments, or N values.
        group: columns, such as the speaker, whose values may not be in two splits; shares are then of whole groups.
        id: column of unique texts, or N of them; by default the column "id", the index of pandas, or the row number.
        task, classes, loss, protocol: where the labels do not say it, as for `read_labels`.
        modalities: modality → column, columns of numbers, or N arrays, for names that another argument has.
        kinds: modality → how to read its axes: "vector", "sequence", "image" or "tokens"; or what its raw samples are:
            "text", "image", "audio" or "video"; or "table" for columns of numbers that are to be read like those with texts.
        lengths: modality → column with the number of steps of each row, or (N,) numbers.
        extractors: modality → name or table of what makes arrays of raw samples; by default that of their kind.
        categorical: columns of a table whose numbers are names of categories.
        metadata: columns to keep; by default those that hold one value per row and serve no other purpose.
        invalid: what a value that is not finite takes with it: its "feature", "frame" or "row".
        unlabelled: what becomes of rows without a label: "refuse" or "drop".
        stratify: give the classes, or the quarters of a number, equal shares in all splits that are drawn.
        seed: of random splits.
        name: of the dataset.
        quiet: do not print how raw samples and bytes of images were read.
        columns: modality → column, columns of numbers or categories, or N arrays. None, NaN and empty lists are absent.
            Lists of unequal length are padded. A `Signal` is taken as it is, with its mask. Texts, paths of images, recordings
            and videos, and recordings as (samples, rate) are extracted.

    Raises:
        DataError: a column, length, label, split or value that does not fit, in one line.
    """
    rows = memory_rows(frame, {**modalities, **columns}, id, target)
    _check_known("kinds", kinds, rows.modalities)
    _check_known("lengths", lengths, rows.modalities)
    _check_known("extractors", extractors, rows.modalities)
    several = isinstance(target, list | tuple) and rows.is_named(target)
    named = chosen_table(rows.columns, target, forced=True) if several else None
    labels = read_labels(named or rows.column(target, "target"), task, classes=classes, loss=loss, protocol=protocol)
    kept = _labelled(labels.labelled, unlabelled, rows.ids)
    environments, groups = rows.named(environment, "environment"), rows.named(group, "group")
    given = split if split is not None else "split" if "split" in rows.columns else None
    rows.check_inputs({"target": target, "split": given})
    shares = shares_of(given)
    renamed: dict[str, str] = {}
    drawn: dict[str, Any] = {BLOCKS: False}
    whole = ["\x1f".join(values) for values in zip(*groups.values(), strict=True)] if groups else rows.ids
    if shares is None:
        by_row = split_names(rows.column(given, "split"), rows.ids)
        drawn[BLOCKS] = split_blocks(by_row)
        renamed = known_names(by_row)
        by_row = [renamed.get(name, name) for name in by_row]
        if valid is not None:
            by_row = validation_split(by_row, whole, labels, kept, valid, seed, stratify=stratify)
            drawn["validation_taken"] = validation_note(by_row, valid, [*groups], stratify=stratify, seed=seed)
    else:
        _refuse_share(valid)
        by_row = random_split(whole, labels, kept, shares, seed, stratify=stratify)
    train = np.zeros(len(rows), dtype=bool)
    train[kept] = [by_row[row] == "train" for row in kept]
    order = kept[rows_by_split([by_row[row] for row in kept])]
    options = TabularOptions(tuple(categorical))
    signals, notes = _signals(rows, kinds, lengths, extractors, Fitting(train, invalid), options, order)
    taken = [validation_text(drawn["validation_taken"])] if "validation_taken" in drawn else []
    taken += [f"the split {other!r} is taken as {split!r}" for other, split in renamed.items()]
    for remark in () if quiet else [*taken, *notes["notes"]]:
        print(f"{name}: {remark}")
    about = rows.metadata(metadata, {**environments, **groups}, (target, given))
    return Dataset.build(
        name,
        labels.task,
        signals,
        labels.target[torch.from_numpy(order)],
        {column: values[order] for column, values in about.items()},
        [by_row[row] for row in order],
        environment=tuple(environments),
        group=tuple(groups),
        provenance={
            "format": "memory",
            "renamed_splits": renamed,
            **drawn,
            "target": target if isinstance(target, str) else list(named.columns) if named else None,
            "unlabelled_rows_dropped": len(rows) - len(kept),
            **notes,
        },
    )


def _refuse_share(valid: float | None) -> None:
    if valid is not None:
        raise DataError(
            f"valid = {valid!r:.40} takes a share of train where a column names the splits; here the splits are shares: name "
            "'valid' among them"
        )


def _check_known(argument: str, values: Mapping[str, object], modalities: Mapping[str, object]) -> None:
    for name in values:
        if name not in modalities:
            raise DataError(f"{argument} names {name!r}, which is no modality{did_you_mean(name, modalities)}")


def _labelled(labelled: np.ndarray, unlabelled: str, ids: Sequence[str]) -> np.ndarray:
    """(R,) the rows to keep."""
    missing = np.flatnonzero(~labelled)
    if len(missing) and unlabelled != "drop":
        raise DataError(
            f"{len(missing)} of {len(labelled)} rows have no label (the first is {ids[missing[0]]!r}); leave them out with "
            "unlabelled='drop' and predict them later"
        )
    return np.flatnonzero(labelled)


def _signals(
    rows: MemoryRows,
    kinds: Mapping[str, ModalityKind],
    lengths: Mapping[str, object],
    extractors: Mapping[str, ExtractorChoice],
    fitting: Fitting,
    options: TabularOptions,
    order: np.ndarray,
) -> tuple[dict[str, Signal], dict[str, Any]]:
    """The rows in `order` of all modalities, and what the provenance says of them."""
    numbers = torch.from_numpy(order)
    signals: dict[str, Signal] = {}
    masks: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    categories = set(options.categorical)
    for name, choice in rows.modalities.items():
        what = f"the modality {name!r}"
        if isinstance(choice, Signal):
            signals[name] = choice.select(numbers)
            continue
        kind = kinds.get(name)
        table = chosen_table(rows.columns, choice, forced=kind == "table", categorical=options.categorical)
        if table is not None:
            signal, masks[name] = _tabular(table, fitting.train, options, what, rows.ids)
            signals[name] = signal.select(numbers)
            remarks.append(f"{name}: {table_line(masks[name])}")
            categories -= table.columns.keys()
            continue
        values = rows.column(choice, what)
        if is_raw(values) or (name in extractors and holds_images(values)):
            column = choice if isinstance(choice, str) else name
            signals[name], masks[name] = prepared_signal(
                values,
                what,
                column,
                ids=rows.ids,
                kind=_raw_kind(kind, what),
                extractor=extractors.get(name),
                order=order,
            )
            used = masks[name]["preparation"]
            remarks.append(f"{name}: read as {used['kind']} by the extractor {used['extractor']['name']!r}")
            continue
        if name in extractors:
            raise DataError(
                f"{what} holds numbers, which no extractor reads; give raw samples, or leave it out of extractors"
            )
        many = (
            numbers_of(rows.column(lengths[name], f"the lengths of {name!r}"), "lengths") if name in lengths else None
        )
        steps = steps_of(values, what, kind=_array_kind(kind, what), lengths=many)
        signal, masks[name] = repaired(steps, what, fitting)
        signals[name] = signal.select(numbers)
        remarks += [f"{name}: {steps.note}"] if steps.note else []
    if categories:
        raise DataError(
            f"categorical names {min(categories)!r}, which is no column of a table; name columns of a modality"
        )
    sources = {name: choice for name, choice in rows.modalities.items() if rows.is_named(choice)}
    return signals, {"masks": masks, "notes": remarks, "columns": sources}


def _tabular(
    table: Table, train: np.ndarray, options: TabularOptions, what: str, ids: Sequence[str]
) -> tuple[Signal, dict[str, Any]]:
    if len(table) != len(ids):
        raise DataError(f"{what} has {len(table)} rows, the others have {len(ids)}; give each row one value")
    own = tuple(name for name in options.categorical if name in table.columns)
    return tabular_signal(table.columns, train, replace(options, categorical=own), what, ids)


def _raw_kind(kind: ModalityKind | None, what: str) -> RawKind | None:
    if kind == "vector" or kind == "sequence" or kind == "tokens" or kind == "table":
        raise DataError(f"{what} holds texts or paths, no {kind}; give arrays, or a kind of raw sample")
    return kind


def _array_kind(kind: ModalityKind | None, what: str) -> Kind | None:
    if kind == "text" or kind == "audio" or kind == "video" or kind == "table":
        raise DataError(f"{what} holds numbers, no {kind}; give texts, paths or (samples, rate), or a kind of array")
    return kind
