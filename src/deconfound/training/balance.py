"""Which rows `train.balance` gives equal shares of every batch: those of each class, each environment, or each pair."""

from __future__ import annotations

from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.errors import SpecError
from deconfound.runs.cells import cells_of
from deconfound.runs.spec import TrainSpec


def balanced_cells(dataset: Dataset, train: TrainSpec) -> Tensor:
    """(N,) int64 cell of every row of the dataset, for `training.loaders.GroupedRows`.

    Args:
        dataset: training and validation rows.
        train: names the balance.

    Raises:
        SpecError: `environments_per_batch` asks for other batches; and as `runs.cells.cells_of`.
        DataError: all training rows are in one cell.
    """
    assert train.balance is not None, "cells are asked for where batches are balanced"
    choice = f"train.balance = {train.balance!r}"
    if train.environments_per_batch is not None:
        raise SpecError(
            f"{choice} and train.environments_per_batch = {train.environments_per_batch} ask for different batches; leave "
            "one out"
        )
    return cells_of(dataset, train.balance, choice)
