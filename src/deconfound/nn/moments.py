"""Running mean and spread of features that change while an encoder learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deconfound.nn.standardise import safe_std
from deconfound.objectives.rows import row_moments

MOMENTUM = 0.05
"""Least share of a new batch; the first batches are averaged evenly."""


class Moments(nn.Module):
    """Mean and variance, or covariance, of G stacked sets of features over the present rows of the batches seen.

    Before the first batch: mean 0, variance 1 (identity).

    Args:
        groups: G.
        width: D.
        full: keep the whole covariance.
    """

    mean: Tensor
    spread: Tensor
    batches: Tensor

    def __init__(self, groups: int, width: int, full: bool = False) -> None:
        super().__init__()
        self.full = full
        self.register_buffer("mean", torch.zeros(groups, 1, width))
        start = torch.eye(width).expand(groups, -1, -1) if full else torch.ones(groups, 1, width)
        self.register_buffer("spread", start.clone())
        self.register_buffer("batches", torch.zeros(groups, 1, 1))

    @torch.no_grad()
    def update(self, values: Tensor, present: Tensor, weight: float = 1.0) -> None:
        """Take in features; a set without present rows stays as it was.

        Args:
            values: (G, B, D).
            present: (G, B) bool.
            weight: of these views of the rows in the step, in [0, 1]. Equal views whose weights sum to 1 count as one batch.
        """
        if weight == 0:
            return
        mean, centred, spread = row_moments(values.detach().to(self.mean.dtype), present)
        count = present.sum(-1).reshape(-1, 1, 1)
        shift = mean - self.mean
        if self.full:
            spread = centred.transpose(1, 2) @ centred / count.clamp(min=1)
            square = shift.transpose(1, 2) @ shift
        else:
            square = shift.square()
        share = (weight / (self.batches + weight)).clamp(min=1 - (1 - MOMENTUM) ** weight) * (count > 0)
        # Of a mixture: the mean of the variances plus the variance of the means.
        self.spread.copy_((1 - share) * self.spread + share * spread + share * (1 - share) * square)
        self.mean.add_(share * shift)
        self.batches.add_(weight * (count > 0))

    @property
    def std(self) -> Tensor:
        """(G, 1, D) standard deviation."""
        variance = self.spread.diagonal(dim1=1, dim2=2).unsqueeze(1) if self.full else self.spread
        return variance.sqrt()

    def standardise(self, values: Tensor) -> Tensor:
        """(G, B, D) features with mean 0 and standard deviation 1; constant ones become 0."""
        return (values - self.mean) / safe_std(self.std, self.mean)

    def scale(self, noise: Tensor) -> Tensor:
        """(G, N, D) standard normal noise → noise with the variance or the whole covariance of the features."""
        if not self.full:
            return noise * self.std
        # A little on the diagonal keeps the factor of a singular covariance finite.
        jitter = 1e-4 * self.std.square().mean(2, keepdim=True) + 1e-12
        factor, _ = torch.linalg.cholesky_ex(self.spread + jitter * torch.eye(self.spread.shape[1]).to(self.spread))
        return noise @ factor.transpose(1, 2)
