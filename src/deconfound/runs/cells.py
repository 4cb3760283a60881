"""Cells of rows that a training may count alike: the classes, the environments, or both crossed."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.errors import DataError, SpecError


def cells_of(dataset: Dataset, balance: str, what: str) -> Tensor:
    """(N,) int64 cell of every row.

    Args:
        balance: "class", "group" (the environments) or "class-and-group".
        what: the choice as the user wrote it, for errors.

    Raises:
        SpecError: the task has no classes, or no such balance.
        DataError: all training rows are in one cell.
    """
    if balance not in ("class", "group", "class-and-group"):
        raise SpecError(f"{what}: give 'class', 'group' or 'class-and-group'")
    if balance != "group" and dataset.task.kind != "classification":
        raise SpecError(f"{what} needs classes, one a row, and {dataset.name} is a {dataset.task.kind}; give 'group'")
    env = dataset.env if balance != "class" else torch.zeros(len(dataset), dtype=torch.int64)
    cells = env if balance == "group" else env * dataset.task.outputs + dataset.target
    rows = dataset.rows("train")
    if len(torch.unique(cells[rows.start : rows.stop])) < 2:
        kind = {"class": "class", "group": "environment"}.get(balance, "class and environment")
        raise DataError(
            f"{what}: all training rows of {dataset.name} are of one {kind}; name columns that tell several apart "
            "('environment' under [data]), or leave it out"
        )
    return cells
