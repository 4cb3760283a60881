"""What to do with rows that have several labels, for the errors of readers that take one label a row."""

from __future__ import annotations

from typing import Literal

from deconfound.data.task import Task
from deconfound.errors import DataError

OneLabelKind = Literal["regression", "classification"]

ONE_LABEL = (
    "for several labels a row (multi-label) write each as a 0/1 column of a table and name them with columns under "
    "[target], or with target = [...] in Python"
)


def one_label_kind(task: Task, what: str) -> OneLabelKind:
    """The kind of a task that has one number or class per row.

    Args:
        what: needs it, for the error.

    Raises:
        DataError: the task has several labels a row.
    """
    if task.kind == "multilabel":
        raise DataError(f"{what} needs one label a row, and the task has {task.outputs}; give a dataset of one of them")
    return task.kind
