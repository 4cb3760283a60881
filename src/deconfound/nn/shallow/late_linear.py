"""`LateLinearModel`: a logistic or ridge regression of each modality, and the mean of those present."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deconfound.data.task import Task
from deconfound.nn.layers import module_key
from deconfound.nn.shallow.fit_linear import constant_output, fit_linear
from deconfound.nn.shallow.model import PooledRows, ShallowModel


class LateLinearModel(ShallowModel):
    """Mean over the present modalities of W_m h_m + b_m, of probabilities for classes; the prior alone without any."""

    def __init__(self, widths: Mapping[str, int], task: Task) -> None:
        super().__init__(widths, task)
        self.maps = nn.ModuleDict({module_key(name): nn.Linear(width, task.outputs) for name, width in widths.items()})
        self.prior = nn.Parameter(torch.zeros(task.outputs))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        outputs = torch.stack([self.maps[module_key(name)](features[name]) for name in self.widths], dim=1)
        mask = torch.stack([present[name] for name in self.widths], dim=1).unsqueeze(2)  # (B, M, 1)
        some = mask.any(dim=1)
        taken = mask | ~some.unsqueeze(1)  # rows without any are computed too and replaced, for finite gradients
        count = taken.sum(dim=1)
        if self.task.kind == "classification":
            log_shares = outputs.log_softmax(dim=2).masked_fill(~taken, -torch.inf)
            mean = log_shares.logsumexp(dim=1) - count.to(outputs.dtype).log()
        else:
            mean = outputs.masked_fill(~taken, 0).sum(dim=1) / count
        return torch.where(some, mean, self.prior)

    @torch.no_grad()
    def fit(self, train: PooledRows, valid: PooledRows, seed: int) -> None:
        for name in self.widths:
            weight, bias = fit_linear(train.of(name), valid.of(name), self.task)
            layer = self.maps[module_key(name)]
            assert isinstance(layer, nn.Linear)
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        self.prior.copy_(torch.from_numpy(constant_output(train.target, self.task)))
