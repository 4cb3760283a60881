"""scikit-learn's own small sets as two or three views, with rows drawn into splits anew in each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from sklearn import datasets as bundled

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


@dataclass(frozen=True)
class Source:
    """One set.

    Args:
        load: scikit-learn's function.
        views: modality → its columns.
        classes: whether the target is a class.
    """

    load: Callable[[], Any]
    views: Mapping[str, range]
    classes: bool = True


SOURCES = {
    "digits": Source(bundled.load_digits, {"upper": range(32), "lower": range(32, 64)}),
    "wine": Source(bundled.load_wine, {"first": range(7), "second": range(7, 13)}),
    "iris": Source(bundled.load_iris, {"sepal": range(2), "petal": range(2, 4)}),
    "cancer": Source(bundled.load_breast_cancer, {"mean": range(10), "error": range(10, 20), "worst": range(20, 30)}),
    "diabetes": Source(bundled.load_diabetes, {"body": range(4), "serum": range(4, 10)}, classes=False),
}


def small_set(name: str, fold: int) -> Dataset:
    """One of `SOURCES`, 60, 20 and 20 % of the rows at random; the fold is the seed of the split."""
    source = SOURCES[name]
    content = source.load()
    values, target = np.asarray(content.data, dtype=np.float32), np.asarray(content.target)
    order, count = np.random.default_rng(fold).permutation(len(values)), len(values)
    stops = np.cumsum([round(share * count) for share in SHARES.values()])
    split = np.array(list(SHARES))[np.searchsorted(stops, np.arange(count), side="right").clip(max=len(SHARES) - 1)]
    signals = {view: _vector(values[order][:, columns]) for view, columns in source.views.items()}
    if source.classes:
        task, labels = (
            Task.classification(tuple(map(str, content.target_names))),
            torch.from_numpy(target[order]).long(),
        )
    else:
        task, labels = Task.regression(), torch.from_numpy(target[order]).float()
    return Dataset.build(name, task, signals, labels, {"id": [f"{row}" for row in order]}, split.tolist())


def _vector(values: np.ndarray) -> Signal:
    return Signal(torch.from_numpy(values.copy())[:, None], torch.ones(len(values), 1, dtype=torch.bool))


SETS: dict[str, Callable[[int], Dataset]] = {name: partial(small_set, name) for name in SOURCES}
