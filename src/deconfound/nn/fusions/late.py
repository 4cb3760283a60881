"""`late`: each modality predicts by itself; the mean of the predictions of those present is the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.nn.fusion import Fusion
from deconfound.nn.layers import mlp
from deconfound.search import Search


class Late(Fusion):
    """bias + mean over the present modalities of f_m(h_m), each f_m an MLP; the bias alone where all are absent."""

    predicts = True

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int,
        *,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of the hidden layers of f_m")] = 64,
        depth: Annotated[int, Field(ge=1, le=16, description="number of linear layers of f_m")] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(widths, outputs)
        self.width = outputs
        self.heads = nn.ModuleList(
            [mlp(width, hidden, outputs, depth=depth, dropout=dropout) for width in self.widths.values()]
        )
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        mask = torch.stack([present[name] for name in self.widths], dim=1).unsqueeze(2)  # (B, M, 1)
        predictions = torch.stack([head(features[n]) for n, head in zip(self.widths, self.heads, strict=True)], dim=1)
        return self.bias + predictions.masked_fill(~mask, 0).sum(1) / mask.sum(1).clamp(min=1)
