"""`qmf`: raw modality predicts by itself and is weighted by how sure it is (Zhang et al., ICML 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.nn.fusion import Fusion
from deconfound.nn.layers import mlp
from deconfound.search import Search


class QMF(Fusion):
    """bias + Σ_m w_m f_m(h_m) over the present modalities; the bias alone where all are absent.

    Classification: w_m = log Σ_c exp f_m,c / temperature, the energy of the logits, passed without a gradient; the
    weights do not sum to 1. Regression (one output; ours): f_m has a second output, and w is its softmax over the present
    modalities, learned with the rest.
    """

    predicts = True

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int,
        *,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of the hidden layers of f_m")] = 64,
        depth: Annotated[int, Field(ge=1, le=16, description="number of linear layers of f_m")] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
        temperature: Annotated[float, Field(gt=0, description="temperature divisor of the energy")] = 10.0,
    ) -> None:
        super().__init__(widths, outputs)
        self.width, self.temperature = outputs, temperature
        width_out = outputs + (outputs == 1)
        self.heads = nn.ModuleList(
            [mlp(width, hidden, width_out, depth=depth, dropout=dropout) for width in self.widths.values()]
        )
        self.bias = nn.Parameter(torch.zeros(outputs))

    def single(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(M, B, outputs) prediction and (M, B) confidence of raw modality, in the order of `widths`."""
        raw = torch.stack([head(features[n]) for n, head in zip(self.widths, self.heads, strict=True)])
        if self.outputs == 1:
            return raw[:, :, :1], raw[:, :, 1]
        return raw, torch.logsumexp(raw, 2) / self.temperature

    def join(self, single: Tensor, confidence: Tensor, present: Mapping[str, Tensor]) -> Tensor:
        """What `single` returns → (B, outputs)."""
        mask = torch.stack([present[name] for name in self.widths])  # (M, B)
        if self.outputs == 1:
            lowest = torch.finfo(confidence.dtype).min
            weight = torch.softmax(confidence.masked_fill(~mask, lowest), 0)
        else:
            weight = confidence.detach()
        return self.bias + (weight.masked_fill(~mask, 0).unsqueeze(2) * single).sum(0)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        return self.join(*self.single(features), present)
