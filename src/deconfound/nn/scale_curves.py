"""Curves that follow standardisation: each feature by its median and quartiles, or by its quantiles to a normal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

MOST_QUANTILES = 1000
_QUARTILES = 1.3489795003921634  # distance of the quartiles of a standard normal


class ScaleCurve(nn.Module, ABC):
    """Base of the curves, one for each of the S numbers that scale a modality. What `fit` learns lies in buffers.

    Args:
        shape: `scale_shape` of the modality.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.size = prod(shape)

    @abstractmethod
    def fit(self, values: Tensor) -> None:
        """Learn from (S, n) standardised values of training rows, n > 0."""

    @abstractmethod
    def _curve(self, values: Tensor) -> Tensor:
        """(S, n) values, scaled."""

    def columns(self, values: Tensor) -> Tensor:
        """(..., *F) values → (S, n): all that one number of the scale belongs to."""
        return values.reshape(-1, self.size, values.shape[2:].numel() // self.size).transpose(0, 1).flatten(1)

    def forward(self, values: Tensor) -> Tensor:
        """(B, T, *F) values, scaled."""
        if values.numel() == 0:
            return values
        inner = values.shape[2:].numel() // self.size
        scaled = self._curve(self.columns(values).contiguous())
        return scaled.unflatten(1, (-1, inner)).transpose(0, 1).reshape(values.shape)


class Robust(ScaleCurve):
    """(z − median) / (distance of the quartiles / 1.349), the latter 1 where the quartiles agree."""

    median: Tensor
    spread: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        self.register_buffer("median", torch.zeros(self.size))
        self.register_buffer("spread", torch.ones(self.size))

    def fit(self, values: Tensor) -> None:
        low, middle, high = torch.quantile(values.double(), torch.tensor([0.25, 0.5, 0.75]).double(), dim=1)
        self.median.copy_(middle)
        spread = (high - low) / _QUARTILES
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1))

    def _curve(self, values: Tensor) -> Tensor:
        return (values - self.median[:, None]) / self.spread[:, None]


class RankGauss(ScaleCurve):
    """Φ⁻¹ of the empirical distribution function, piecewise linear between at most 1,000 quantiles.

    Ties get the middle of their ranks. Beyond the training rows the curve is flat: the share is held within
    [1 / 2n, 1 − 1 / 2n], n being the number of values that it was learnt from. Before `fit` the curve is the identity.
    """

    quantiles: Tensor
    count: Tensor
    knots: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        self.register_buffer("quantiles", torch.zeros(self.size, MOST_QUANTILES))
        self.register_buffer("knots", torch.zeros((), dtype=torch.int64))  # quantiles in use
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def fit(self, values: Tensor) -> None:
        knots = min(MOST_QUANTILES, values.shape[1])
        # sorting once serves all quantiles, which torch.quantile would interpolate within a limit of sizes
        ordered = values.double().sort(dim=1).values
        place = torch.linspace(0, values.shape[1] - 1, knots, dtype=torch.float64)
        below = place.floor().long()
        above = (below + 1).clamp(max=values.shape[1] - 1)
        between = ordered[:, below] + (place - below) * (ordered[:, above] - ordered[:, below])
        self.quantiles.zero_()
        self.quantiles[:, :knots] = between.to(self.quantiles)
        self.knots.fill_(knots)
        self.count.fill_(values.shape[1])

    def _curve(self, values: Tensor) -> Tensor:
        knots = int(self.knots)
        if knots == 0:
            return values
        known = self.quantiles[:, :knots].contiguous().to(values.dtype)
        upper, lower = (_share(values, known, right=side) for side in (True, False))
        edge = 0.5 / self.count.to(values.dtype)
        return torch.special.ndtri(((upper + lower) / 2).clamp(edge, 1 - edge))


def _share(values: Tensor, known: Tensor, *, right: bool) -> Tensor:
    """(S, n) share of the distribution below each value, at ties that of the last (`right`) or first of the quantiles."""
    last = known.shape[1] - 1
    place = torch.searchsorted(known, values.detach(), right=right)  # between place - 1 and place
    left, right_end = (place - 1).clamp(min=0), place.clamp(max=last)
    start, stop = known.gather(1, left), known.gather(1, right_end)
    inside = (place > 0) & (place <= last)
    part = (values - start) / torch.where(inside, stop - start, 1)
    share = (left + part) / max(1, last)
    return torch.where(inside, share, (place > last).to(values.dtype))
