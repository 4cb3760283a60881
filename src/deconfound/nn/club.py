"""The variational network of the CLUB bound on mutual information."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deconfound.nn.disentangle import StackedLinear
from deconfound.objectives.dependence import club, standardised, surprise

BOUND = 4.0
"""Largest logarithm of a variance, and minus the smallest; the values have variance 1."""


class Club(nn.Module):
    """q(s | z) for G modalities, two-layer MLPs side by side, with the bound that it gives and its own likelihood.

    Both parts are standardised over the batch first, which leaves their mutual information as it is, so the bound
    cannot be lowered by shrinking them. The bound moves the parts and not q; the likelihood moves q and not the parts.

    Args:
        groups: G.
        dim: width of either part.
        hidden: width of the hidden layer.
    """

    def __init__(self, groups: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.first = StackedLinear(groups, dim, hidden)
        self.second = StackedLinear(groups, hidden, 2 * dim)

    def forward(self, condition: Tensor, values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """How much `condition` tells about `values`.

        Args:
            condition: (G, B, dim) z.
            values: (G, B, dim) s.
            present: (G, B) bool.

        Returns:
            (G,) the bound in nats per dimension, and (G,) −log q(s | z) per dimension, without its constant.
        """
        condition, values = standardised(condition, present), standardised(values, present)
        bound = club(values, *self._conditional(condition, learn=False), present)
        return bound, surprise(values.detach(), *self._conditional(condition.detach(), learn=True), present)

    def _conditional(self, condition: Tensor, *, learn: bool) -> tuple[Tensor, Tensor]:
        """(G, B, dim) mean and log variance of q."""
        weights = [
            p if learn else p.detach() for layer in (self.first, self.second) for p in (layer.bias, layer.weight)
        ]
        hidden = F.gelu(torch.baddbmm(weights[0], condition, weights[1]))
        mean, spread = torch.baddbmm(weights[2], hidden, weights[3]).chunk(2, dim=2)
        return mean, BOUND * torch.tanh(spread / BOUND)
