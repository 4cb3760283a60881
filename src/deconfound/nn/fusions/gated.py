"""`gated`: a sum of the modalities in which each is weighted by a gate that sees all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.nn.fusion import Fusion


class Gated(Fusion):
    """Σ_m present_m · σ(G_m [h_1 … h_M]) ⊙ tanh(W_m h_m), after the gated multimodal unit of Arevalo et al. (2017).

    The gates see 0 for an absent modality and its summand is left out; with all absent the sum is 0.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        outputs: int,
        *,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of the sum")] = 64,
    ) -> None:
        super().__init__(widths, outputs)
        self.width = hidden
        self.gates = nn.Linear(sum(self.widths.values()), len(self.widths) * hidden)
        self.values = nn.ModuleList([nn.Linear(width, hidden) for width in self.widths.values()])

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        mask = torch.stack([present[name] for name in self.widths], dim=1).unsqueeze(2)  # (B, M, 1)
        masked = [features[name].masked_fill(~mask[:, m], 0) for m, name in enumerate(self.widths)]
        gates = torch.sigmoid(self.gates(torch.cat(masked, dim=1))).unflatten(1, (len(masked), self.width))
        values = torch.stack([layer(h) for layer, h in zip(self.values, masked, strict=True)], dim=1)
        return (gates * torch.tanh(values) * mask).sum(1)
