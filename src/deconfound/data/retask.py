"""The same rows under another task or metric protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.errors import DataError
from deconfound.protocol import protocol_of

_CLASS_COLUMN = "class"
_MOST_CLASSES = 100


def retask(dataset: Dataset, kind: Literal["regression", "classification"] | None, protocol: str | None) -> Dataset:
    """Change the task, the protocol or both.

    A regression becomes a classification of its metadata column "class", which the readers of sentiment corpora keep, or
    else of its labels, if they are whole numbers. A classification becomes a regression if its classes are numbers.

    Args:
        kind: the new task; None keeps the old one.
        protocol: the new protocol; None keeps the old one, or takes the default of a new task.

    Raises:
        DataError: labels that do not fit the task, or a protocol that does not exist or judges the other kind.
    """
    if kind is not None and dataset.task.kind == "multilabel":
        raise DataError(f"{dataset.name} has several labels a row, which are no {kind}; leave out --task")
    if kind is not None and kind != dataset.task.kind:
        dataset = _as_classification(dataset) if kind == "classification" else _as_regression(dataset)
    if protocol is not None:
        dataset = replace(dataset, task=replace(dataset.task, protocol=protocol))
    protocol_of(dataset.task.protocol, dataset.task.kind)
    return dataset


def _as_classification(dataset: Dataset) -> Dataset:
    labels = dataset.target
    if _CLASS_COLUMN in dataset.columns:
        column = dataset.columns[_CLASS_COLUMN]
        names, codes = [str(value) for value in column.distinct], column.codes
    else:
        distinct, codes = torch.unique(labels, return_inverse=True)
        if bool((labels != labels.round()).any()) or len(distinct) > _MOST_CLASSES:
            raise DataError(
                f"{dataset.name}: labels such as {float(labels[0]):.3g} are no classes, and there is no metadata column "
                f"{_CLASS_COLUMN!r}; leave out --task, or give whole numbers, at most {_MOST_CLASSES} of them"
            )
        names = [str(int(value)) for value in distinct]
    return replace(dataset, task=Task.classification(tuple(names)), target=codes.long())


def _as_regression(dataset: Dataset) -> Dataset:
    try:
        values = torch.tensor([float(name) for name in dataset.task.classes])
    except ValueError as error:
        raise DataError(
            f"{dataset.name}: classes such as {dataset.task.classes[0]!r} are no numbers; leave out --task"
        ) from error
    return replace(dataset, task=Task.regression(), target=values[dataset.target])
