"""Layers of several modalities side by side: one operation for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["relu", "gelu"]


class StackedLinear(nn.Module):
    """G linear layers of one size side by side: (G, N, inputs) → (G, N, outputs). Initialised as `nn.Linear`."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, values, self.weight)


class StackedLayers(nn.Module):
    """Linear layers, each followed by the activation: (G, N, widths[0]) → (G, N, widths[-1])."""

    def __init__(self, groups: int, widths: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.layers = nn.ModuleList(StackedLinear(groups, *sizes) for sizes in pairwise(widths))
        self.activation = activation

    def forward(self, values: Tensor) -> Tensor:
        activate = F.relu if self.activation == "relu" else F.gelu
        for layer in self.layers:
            values = activate(layer(values))
        return values
