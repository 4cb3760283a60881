"""`LinearModel`: logistic or ridge regression on the pooled features of all modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deconfound.data.task import Task
from deconfound.nn.shallow.fit_linear import fit_linear
from deconfound.nn.shallow.model import PooledRows, ShallowModel, joined


class LinearModel(ShallowModel):
    """W (h_1 … h_M, absence indicators) + b."""

    def __init__(self, widths: Mapping[str, int], task: Task) -> None:
        super().__init__(widths, task)
        self.weight = nn.Parameter(torch.zeros(task.outputs, sum(widths.values()) + len(widths)))
        self.bias = nn.Parameter(torch.zeros(task.outputs))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        ordered = {name: features[name] for name in self.widths}
        return joined(ordered, present) @ self.weight.T + self.bias

    @torch.no_grad()
    def fit(self, train: PooledRows, valid: PooledRows, seed: int) -> None:
        parts = [
            (joined({name: rows.features[name] for name in self.widths}, rows.present), rows.target)
            for rows in (train, valid)
        ]
        weight, bias = fit_linear(parts[0], parts[1], self.task)
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))
