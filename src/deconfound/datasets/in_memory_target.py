"""Labels in memory: the task that they stand for, and their numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.data.one_label import ONE_LABEL
from deconfound.data.task import Task, TaskKind
from deconfound.data.validation import check_resolution
from deconfound.datasets.frames import Column, is_absent, is_number, numbers_of
from deconfound.datasets.label_sets import binary_columns, label_sets
from deconfound.datasets.tabular.columns import Table
from deconfound.errors import DataError, did_you_mean

MOST_CLASSES = 20
"""Different whole numbers that are taken for classes unless the caller names the kind of task."""

_MISSING = folded(MISSING)


@dataclass(frozen=True, eq=False)
class Labels:
    """N labels.

    Args:
        task: what is predicted.
        target: (N,) float32, or int64 class numbers, or (N, L) labels; 0 where a row has no label.
        labelled: (N,) bool.
    """

    task: Task
    target: Tensor
    labelled: np.ndarray


def read_labels(
    values: Column | Table,
    task: Task | TaskKind | None = None,
    *,
    classes: Sequence[object] | None = None,
    loss: Literal["mse", "l1"] | None = None,
    protocol: str | None = None,
) -> Labels:
    """Labels of N rows and their task.

    Texts and booleans are classes, and so are up to `MOST_CLASSES` different whole numbers; other numbers are the target of
    a regression. Classes are sorted, numbers by size, and named by their texts, such as "1" and "True".

    Several 0/1 columns are several labels a row, and so are lists of texts.

    Args:
        values: N texts, booleans, numbers or lists of texts, or L 0/1 columns by name; None, NaN or
            a word for a missing value where a row has no label.
        task: a task, or its kind where the labels do not say it.
        classes: all classes in order; by default those that occur.
        loss: of a regression, "mse" by default; protocol: the metric protocol.

    Raises:
        DataError: labels that are neither, too many whole numbers, or a class that is not in `classes`.
    """
    if isinstance(values, Table) or task == "multilabel" or (isinstance(task, Task) and task.kind == "multilabel"):
        return _several(values, task, classes, loss, protocol)
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        listed = values[:, 0].tolist()
    labelled = np.array([not _unlabelled(label) for label in listed])
    present = [label for label, exists in zip(listed, labelled, strict=True) if exists]
    if present and all(_is_label_set(label) for label in present):
        return _several(values, task, classes, loss, protocol)
    if not present:
        raise DataError("no row has a label; name the column of the labels as target")
    wrong = next((label for label in present if not isinstance(label, str) and not is_number(label)), None)
    if wrong is not None:
        several = f"; {ONE_LABEL}" if isinstance(wrong, Collection) else ""
        raise DataError(f"the target holds {wrong!r:.60}; a label is one text, boolean or number per row{several}")
    kind = task.kind if isinstance(task, Task) else task or _kind_of(present, classes)
    if kind == "classification":
        known = tuple(map(label_name, classes)) if classes is not None else _sorted_classes(present)
        known = task.classes if isinstance(task, Task) else known
        made = task if isinstance(task, Task) else Task.classification(known, protocol=protocol or "classification")
        return Labels(made, _class_numbers(listed, labelled, known), labelled)
    if classes is not None:
        raise DataError("a regression has no classes; leave them out")
    numbers = numbers_of(
        [label if exists else None for label, exists in zip(listed, labelled, strict=True)], "the target"
    )
    check_resolution("the target", torch.from_numpy(numbers[labelled]))
    made = task if isinstance(task, Task) else Task.regression(loss=loss or "mse", protocol=protocol or "regression")
    return Labels(made, torch.from_numpy(np.where(labelled, numbers, 0).astype(np.float32)), labelled)


def _several(
    values: Column | Table,
    task: Task | TaskKind | None,
    classes: Sequence[object] | None,
    loss: str | None,
    protocol: str | None,
) -> Labels:
    """Several labels a row.

    Raises:
        DataError: as `binary_columns` and `label_sets`, or a task of another kind.
    """
    if (task.kind if isinstance(task, Task) else task) not in (None, "multilabel") or loss is not None:
        raise DataError("several labels a row are task='multilabel', with no loss to choose; leave task and loss out")
    names = task.classes if isinstance(task, Task) else None if classes is None else tuple(map(label_name, classes))
    if isinstance(values, Table):
        matrix = binary_columns(values.columns, "the target")
    elif isinstance(values, np.ndarray) and values.ndim == 2:
        wanted = names or tuple(str(place) for place in range(values.shape[1]))
        if len(wanted) != values.shape[1]:
            raise DataError(f"the target has {values.shape[1]} columns and {len(wanted)} names of labels; name each")
        matrix = binary_columns(dict(zip(wanted, values.T, strict=True)), "the target")
    else:
        matrix = label_sets([_label_set(label) for label in values], "the target", names)
    if not matrix.labelled.any():
        raise DataError("no row has a label; name the columns of the labels as target")
    made = task if isinstance(task, Task) else Task.multilabel(matrix.names, protocol=protocol or "multilabel")
    return Labels(made, matrix.target, matrix.labelled)


def _is_label_set(label: object) -> bool:
    return isinstance(label, list | tuple | set | frozenset) and all(isinstance(name, str) for name in label)


def _label_set(label: Any) -> Collection[str] | None:
    if hasattr(label, "tolist"):
        label = label.tolist()
    if isinstance(label, str) or is_number(label):
        return None if _unlabelled(label) else [label_name(label)]
    return None if is_absent(label) else label


def label_name(label: Any) -> str:
    """The name of a class: its text; a whole number without a decimal point, so that 1.0 and 1 are one class."""
    if isinstance(label, bool | np.bool_):
        return str(bool(label))
    return str(int(label)) if is_number(label) and float(label).is_integer() else str(label)


def _unlabelled(label: object) -> bool:
    return is_absent(label) or (isinstance(label, str) and is_missing(label, _MISSING))


def _kind_of(labels: Sequence[Any], classes: Sequence[object] | None) -> TaskKind:
    if classes is not None or any(isinstance(label, str | bool | np.bool_) for label in labels):
        return "classification"
    if any(isinstance(label, float | np.floating) for label in labels):
        return "regression"
    distinct = len(set(labels))
    if distinct > MOST_CLASSES:
        raise DataError(
            f"the target holds {distinct} different whole numbers, which may be classes or measurements; say "
            "task='classification' or task='regression'"
        )
    return "classification"


def _sorted_classes(labels: Sequence[Any]) -> tuple[str, ...]:
    distinct = set(labels)
    numeric = all(is_number(label) for label in distinct)
    names = dict.fromkeys(label_name(label) for label in sorted(distinct, key=float if numeric else str))
    if len(names) < 2:
        raise DataError(f"all labels are {next(iter(names))!r}; a classification needs two or more classes")
    return tuple(names)


def _class_numbers(labels: Sequence[Any], labelled: np.ndarray, classes: Sequence[str]) -> Tensor:
    number = {name: code for code, name in enumerate(classes)}
    names = [label_name(label) if exists else classes[0] for label, exists in zip(labels, labelled, strict=True)]
    unknown = next((name for name in names if name not in number), None)
    if unknown is not None:
        raise DataError(f"the label {unknown!r} is not among the classes{did_you_mean(unknown, classes)}")
    return torch.tensor([number[name] for name in names], dtype=torch.int64)
