"""Weights of the training and validation rows: a column of the data, the frequency of the classes, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from deconfound.compose import weighs_rows
from deconfound.data.dataset import Dataset
from deconfound.data.splits import DEVELOPMENT
from deconfound.errors import DataError, SpecError, did_you_mean

if TYPE_CHECKING:
    from deconfound.method import Method
    from deconfound.runs.spec import TrainSpec


def row_weights(development: Dataset, train: TrainSpec) -> Tensor | None:
    """(N,) float32 weights with the mean 1 over the training rows and over the validation rows; None without any.

    The weight of a row is its value in the column `train.weight`, times that of its class.

    Args:
        development: training and validation rows.

    Raises:
        DataError: no such column, a weight that is no number of at least 0, or none above 0 in train or valid; or weights of
            classes of a task without classes, or of a class that does not exist.
    """
    if train.weight is None and train.class_weight is None:
        return None
    weights = np.ones(len(development))
    if train.weight is not None:
        weights = weights * _column(development, train.weight)
    if train.class_weight is not None:
        weights = weights * _class_weights(development, train)[development.target.numpy()]
    for split in DEVELOPMENT:
        rows = slice(development.rows(split).start, development.rows(split).stop)
        mean = float(weights[rows].mean())
        if not 0 < mean < np.inf:
            raise DataError(
                f"{development.name}: the weights of all rows of {split} are {mean:g}; give some a larger one"
            )
        weights[rows] /= mean
    return torch.from_numpy(weights.astype(np.float32))


def check_weighs_rows(method: Method) -> None:
    """Check that a method counts the risks of rows by their weights.

    Raises:
        SpecError: it does not.
    """
    if not weighs_rows(method):
        raise SpecError(
            f"{type(method).__name__} does not say that it weighs rows; leave out train.weight and train.class_weight, or "
            "take its risks through batch.mean and set weighs_rows = True"
        )


def _column(development: Dataset, name: str) -> np.ndarray:
    """(N,) float64 values of a column."""
    if name not in development.columns:
        raise DataError(
            f"train.weight: {development.name} has no metadata column {name!r}{did_you_mean(name, development.columns)}"
        )
    values = development.columns[name].values
    if values.dtype == object:
        raise DataError(
            f"train.weight: the column {name!r} holds texts, such as {values[0]!r:.40}; weights are numbers"
        )
    wrong = np.flatnonzero(~(np.isfinite(values.astype(np.float64)) & (values >= 0)))
    if len(wrong):
        row = development.columns["id"].values[wrong[0]]
        raise DataError(f"train.weight: {name!r} of {row!r} is {values[wrong[0]]}; expected a number of at least 0")
    return values.astype(np.float64)


def _class_weights(development: Dataset, train: TrainSpec) -> np.ndarray:
    """(C,) float64 weight of each class; "balanced" is N / (C' N_c) over the C' classes that train has, as scikit-learn."""
    task = development.task
    if task.kind != "classification":
        raise DataError(f"train.class_weight is for a classification, and the task is {task.kind}; leave it out")
    if isinstance(train.class_weight, dict):
        odd = next((name for name in train.class_weight if name not in task.classes), None)
        if odd is not None:
            raise DataError(f"train.class_weight: there is no class {odd!r}{did_you_mean(odd, task.classes)}")
        negative = next((name for name, weight in train.class_weight.items() if weight < 0), None)
        if negative is not None:
            weight = train.class_weight[negative]
            raise DataError(f"train.class_weight: that of {negative!r} is {weight:g}; expected a number of at least 0")
        return np.array([train.class_weight.get(name, 1.0) for name in task.classes])
    rows = development.rows("train")
    counts = torch.bincount(development.target[rows.start : rows.stop], minlength=task.outputs).numpy()
    occurring = counts > 0
    return np.where(occurring, counts.sum() / (occurring.sum() * np.maximum(counts, 1)), 1.0)
