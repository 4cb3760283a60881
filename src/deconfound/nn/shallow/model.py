"""`ShallowModel`: a fusion that predicts from pooled features and is fitted to all training rows at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deconfound.data.task import Task
from deconfound.nn.fusion import Fusion


@dataclass(frozen=True, eq=False)
class PooledRows:
    """The features of N rows, pooled over their steps, with the targets.

    Args:
        features: modality → (N, H_m) float32, 0 in the rows that lack it.
        present: modality → (N,) bool.
        target: (N,) as in `Batch`.
    """

    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """(R, H_m) features and (R,) targets of the rows that have a modality."""
        rows = self.present[name]
        return self.features[name][rows], self.target[rows]


class ShallowModel(Fusion, ABC):
    """Base of the shallow models. What `fit` learns lies in parameters and buffers of sizes known beforehand.

    Args:
        widths: modality → H_m.
        task: what is predicted.
    """

    predicts = True

    def __init__(self, widths: Mapping[str, int], task: Task) -> None:
        super().__init__(widths, task.outputs)
        self.width, self.task = task.outputs, task

    @abstractmethod
    def fit(self, train: PooledRows, valid: PooledRows, seed: int) -> None:
        """Take the model that fits the training rows, with the strength of regularisation of the lowest validation risk."""


def joined(features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """(N, Σ H_m + M): the features side by side, then 1 for each modality that the row lacks."""
    absent = torch.stack([~present[name] for name in features], dim=1)
    values = torch.cat(list(features.values()), dim=1)
    return torch.cat([values, absent.to(values.dtype)], dim=1)


def mean_risk(task: Task, output: np.ndarray, target: Tensor) -> float:
    """Mean of the task's risk over (N, outputs) predictions; infinite where there is no row."""
    if len(target) == 0:
        return float("inf")
    return float(task.risk(torch.from_numpy(output).double(), _exact(target)).mean())


def log_prior(target: Tensor, classes: int) -> np.ndarray:
    """(C,) log of the share of each class; one that no row has counts as half a row."""
    count = torch.bincount(target, minlength=classes).double().numpy()
    return np.log(np.maximum(count, 0.5) / max(1, len(target)))


def _exact(target: Tensor) -> Tensor:
    return target.double() if target.is_floating_point() else target
