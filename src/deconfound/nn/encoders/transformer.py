"""`transformer`: self-attention over the steps that exist."""

from __future__ import annotations

from math import log, prod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import mlp
from deconfound.search import Search


def positions(steps: int, width: int) -> Tensor:
    """(steps, width) of Vaswani et al. (2017): even columns j hold sin(t / 10000^(j/width)), odd ones its cosine."""
    rates = torch.exp(-log(10000.0) / width * torch.arange(0, width, 2))
    angles = torch.arange(steps).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class Block(nn.Module):
    """One pre-norm layer: attention, then a two-layer MLP of four times the width; (B, T, H) → (B, T, H)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed = mlp(width, 4 * width, width, depth=2, dropout=dropout)

    def forward(self, steps: Tensor, attend: Tensor) -> Tensor:
        """`attend` (B, 1, 1, T) bool: the steps that may be looked at."""
        parts = self.project(self.norms[0](steps)).unflatten(2, (3, self.heads, -1))  # (B, T, 3, heads, H / heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attend, dropout_p=rate)
        steps = steps + self.merge(mixed.transpose(1, 2).flatten(2))
        return steps + self.feed(self.norms[1](steps))


class Transformer(Encoder):
    """A learned summary step goes first and is always there, so a row without any step has something to attend.

    Positions are counted in the given steps: a dropped frame leaves a gap.

    Raises:
        SpecError: the width is not a multiple of the number of heads, or the modality holds tokens.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        layers: Annotated[int, Field(ge=1, le=24, description="number of layers")] = 2,
        heads: Annotated[int, Field(ge=1, le=65_536, description="attention heads; must divide the hidden width")] = 4,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(modality, width)
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder 'transformer' needs floats; {modality.name} holds tokens: pass your own module for it"
            )
        if width % heads:
            raise SpecError(f"hidden = {width} is not a multiple of heads = {heads}; change one of them")
        self.enter = nn.Linear(prod(modality.shape), width)
        self.summary = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        steps = self.enter(values.flatten(2))
        steps = steps + positions(steps.shape[1], steps.shape[2]).to(steps)
        steps = torch.cat([self.summary.to(steps).expand(len(steps), 1, -1), steps], dim=1)
        attend = F.pad(mask, (1, 0), value=True)[:, None, None, :]
        for block in self.blocks:
            steps = block(steps, attend)
        return self.norm(steps[:, 0])
