"""Which rows `train.balance` gives equal shares of every batch: those of each class, each environment, or each pair."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.errors import DataError, SpecError
from deconfound.runs.spec import TrainSpec


def balanced_cells(dataset: Dataset, train: TrainSpec) -> Tensor | None:
    """(N,) int64 cell of every row of the dataset, for `training.loaders.GroupedRows`; None without a balance.

    Args:
        dataset: training and validation rows.
        train: names the balance.

    Raises:
        SpecError: the task has no classes, or `environments_per_batch` asks for other batches.
        DataError: all training rows are in one cell.
    """
    balance = train.balance
    if balance is None:
        return None
    if train.environments_per_batch is not None:
        raise SpecError(
            f"train.balance = {balance!r} and train.environments_per_batch = {train.environments_per_batch} ask for "
            "different batches; leave one out"
        )
    if balance != "group" and dataset.task.kind == "regression":
        raise SpecError(f"train.balance = {balance!r} needs classes, and {dataset.name} is a regression; give 'group'")
    env = dataset.env if balance != "class" else torch.zeros(len(dataset), dtype=torch.int64)
    cells = env if balance == "group" else env * dataset.task.outputs + dataset.target
    rows = dataset.rows("train")
    if len(torch.unique(cells[rows.start : rows.stop])) < 2:
        what = "class" if balance == "class" else "environment" if balance == "group" else "class and environment"
        raise DataError(
            f"train.balance = {balance!r}: all training rows of {dataset.name} are of one {what}; name columns that tell "
            "several apart ('environment' under [data]), or leave it out"
        )
    return cells
