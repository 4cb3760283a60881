"""Edges that cut real labels into bins of equally many rows."""

from __future__ import annotations

import torch
from torch import Tensor


def quantile_edges(values: Tensor, count: int) -> Tensor:
    """The `count` − 1 quantiles 1/count, 2/count, … of N ≥ 1 values, by linear interpolation.

    Args:
        values: (N,) float; the edges have the same type and device.
        count: bins, 1 or more.

    Returns:
        (count − 1,) in ascending order, with equal entries where many values are equal.
    """
    return torch.quantile(values, torch.arange(1, count, dtype=values.dtype, device=values.device) / count)
