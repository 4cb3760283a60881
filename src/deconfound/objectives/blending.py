"""Weights of the losses in a gradient blend."""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = 0.01
"""Lowest overfitting as a share of the validation loss. Without it, a loss that by chance does not overfit would have all the
weight."""


def blend_weights(start: Tensor, end: Tensor) -> Tensor:
    """Weights by the overfitting-to-generalisation ratio (Wang et al., CVPR 2020): w_k ∝ ΔG_k / ΔO_k².

    ΔG is how much the validation loss fell between two moments, ΔO how much the gap of validation and training loss grew.
    A loss that did not generalise (ΔG ≤ 0) has weight 0.

    Args:
        start, end: (2, V) training and validation loss of V predictions at both moments.

    Returns:
        (V,) non-negative with sum 1; equal where no loss generalised.
    """
    gain = (start[1] - end[1]).clamp(min=0)
    growth = (end[1] - end[0]) - (start[1] - start[0])
    over = torch.maximum(growth.abs(), FLOOR * start[1])
    ratio = torch.where(gain > 0, gain / over.square().clamp(min=torch.finfo(gain.dtype).tiny), 0)
    total = ratio.sum()
    return torch.where(total > 0, ratio / total.clamp(min=torch.finfo(gain.dtype).tiny), 1 / len(ratio))
