"""`ConstantModel`: the same prediction for every row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deconfound.data.task import Task
from deconfound.nn.shallow.fit_linear import constant_output
from deconfound.nn.shallow.model import PooledRows, ShallowModel


class ConstantModel(ShallowModel):
    """The shares of the classes, the mean of numbers, or their median where the risk is the absolute error."""

    def __init__(self, widths: Mapping[str, int], task: Task) -> None:
        super().__init__(widths, task)
        self.value = nn.Parameter(torch.zeros(task.outputs))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        return self.value.expand(len(next(iter(features.values()))), -1)

    @torch.no_grad()
    def fit(self, train: PooledRows, valid: PooledRows, seed: int) -> None:
        self.value.copy_(torch.from_numpy(constant_output(train.target, self.task)))
