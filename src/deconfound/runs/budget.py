"""Completing the budget of a specification by the rows that it trains on."""

from __future__ import annotations

import math
from dataclasses import asdict

from deconfound.data.dataset import Dataset
from deconfound.runs.budget_sizes import default_budget
from deconfound.runs.build import apply_data_spec
from deconfound.runs.spec import DataSpec, Spec, TrainSpec


def with_budget(spec: Spec, dataset: Dataset) -> Spec:
    """The specification with every number of its budget; itself if none is open.

    Args:
        dataset: all of its rows.

    Raises:
        DataError: as `apply_data_spec`.
    """
    if not _open(spec.train):
        return spec
    return spec.model_copy(update={"train": completed(spec.train, training_rows(dataset, spec.data))})


def completed(train: TrainSpec, rows: int) -> TrainSpec:
    """[train] with every number of its budget, for so many training rows."""
    asked = {"epochs": train.epochs, "batch_size": train.batch_size}
    default = asdict(default_budget(train.preset, rows, train.processes, **asked))
    return train.model_copy(update={name: default[name] for name in _open(train)})


def budget_notes(train: TrainSpec, rows: int) -> list[str]:
    """A line with the numbers that the preset gave for so many training rows; none if all were given."""
    if not _open(train):
        return []
    budget = completed(train, rows).budget
    steps = math.ceil(rows / (budget.batch_size * train.processes))
    return [
        f"{train.preset} budget for {rows} training rows: epochs = {budget.epochs} (of {steps} steps), batch_size = "
        f"{budget.batch_size}, learning_rate = {budget.learning_rate:g}, patience = {budget.patience}"
    ]


def training_rows(dataset: Dataset, data: DataSpec) -> int:
    """Number of training rows that a specification uses.

    Raises:
        DataError: as `apply_data_spec`.
    """
    least = min(dataset.signals, key=lambda name: dataset.signals[name].values.numel())  # splitting anew copies rows
    return len(apply_data_spec(dataset, data.model_copy(update={"modalities": (least,)})).rows("train"))


def _open(train: TrainSpec) -> list[str]:
    return [name for name in ("epochs", "batch_size", "learning_rate", "patience") if getattr(train, name) is None]
