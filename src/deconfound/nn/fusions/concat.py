"""`concat`: the features side by side, an absent modality replaced by a learned vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deconfound.nn.fusion import Fusion


class Concat(Fusion):
    """(B, Σ H_m). The learned vectors start at 0."""

    repeats: Tensor

    def __init__(self, widths: Mapping[str, int], outputs: int) -> None:
        super().__init__(widths, outputs)
        self.width = sum(self.widths.values())
        self.absent = nn.Parameter(torch.zeros(self.width))
        sizes = torch.tensor(list(self.widths.values()))
        self.register_buffer(
            "repeats", torch.repeat_interleave(sizes), persistent=False
        )  # (W,) modality of each column

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        joined = torch.cat([features[name] for name in self.widths], dim=1)
        mask = torch.stack([present[name] for name in self.widths], dim=1)  # (B, M)
        return torch.where(mask.index_select(1, self.repeats), joined, self.absent.to(joined.dtype))
