"""What to do with rows that have several labels, for the errors of readers that take one label a row."""

from __future__ import annotations

from deconfound.data.task import Task
from deconfound.errors import DataError

ONE_LABEL = (
    "for several labels a row (multi-label) write each as a 0/1 column of a table and name them with columns under "
    "[target], or with target = [...] in Python"
)


def check_one_label(task: Task, what: str) -> None:
    """Check that a task has one number or class per row.

    Args:
        what: needs it, for the error.

    Raises:
        DataError: the task has several labels a row.
    """
    if task.kind == "multilabel":
        raise DataError(f"{what} needs one label a row, and the task has {task.outputs}; give a dataset of one of them")
