"""Discriminative-knowledge networks: z_m = LayerNorm(MLP(h_m)), one per modality."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deconfound.data.signal import Signal
from deconfound.nn.disentangle import StackedLinear, by_width
from deconfound.nn.layers import encode_each


class _Group(nn.Module):
    """The networks of G modalities whose features have one width H: (G, B, H) → (G, B, dim)."""

    def __init__(self, groups: int, inputs: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.first = StackedLinear(groups, inputs, hidden)
        self.second = StackedLinear(groups, hidden, dim)

    def forward(self, features: Tensor) -> Tensor:
        return F.layer_norm(self.second(F.gelu(self.first(features))), (self.dim,))


class Knowledge(nn.Module):
    """g_m of every modality, two layers and a normalisation without parameters; equal widths are computed together.

    Args:
        widths: modality → H_m.
        hidden: width of the hidden layer.
        dim: width of z.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, dim: int) -> None:
        super().__init__()
        self.names = by_width(widths)
        self.groups = nn.ModuleList([_Group(len(names), width, hidden, dim) for width, names in self.names.items()])

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{(B, H_m)} → {(B, dim)}; rows of an absent modality are meaningless."""
        knowledge: dict[str, Tensor] = {}
        for names, group in zip(self.names.values(), self.groups, strict=True):
            knowledge |= dict(zip(names, group(torch.stack([features[name] for name in names])), strict=True))
        return knowledge


class DetachedEncoders(nn.Module):
    """A second set of encoders, initially copies of the first, for representations without a gradient of the task."""

    def __init__(self, encoders: nn.ModuleDict) -> None:
        super().__init__()
        self.encoders = copy.deepcopy(encoders)

    def forward(self, signals: Mapping[str, Signal]) -> dict[str, Tensor]:
        """Standardised signals → modality → (B, H) features, 0 in rows where the modality is absent."""
        return encode_each(self.encoders, signals)
