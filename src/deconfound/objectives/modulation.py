"""Coefficients of gradient modulation: which modalities lead, and how much their gradients are scaled down."""

from __future__ import annotations

import torch
from torch import Tensor


def score_ratio(scores: Tensor, present: Tensor) -> Tensor:
    """ρ_u: the score of each modality over the mean score of the others, for two modalities their ratio.

    Args:
        scores: (M,) non-negative, such as the confidence in the truth of each modality.
        present: (M,) bool, whether any row has it; the others do not count.

    Returns:
        (M,) non-negative; 1 for an absent modality and for one without a rival.
    """
    counted = scores * present
    others = (counted.sum() - counted) / (present.sum() - present.to(counted.dtype)).clamp(min=1)
    return torch.where(present & (others > 0), counted / others.clamp(min=torch.finfo(counted.dtype).tiny), 1)


def modulation(scores: Tensor, present: Tensor, alpha: float) -> Tensor:
    """OGM's coefficients: k_u = 1 - tanh(α ρ_u) where ρ_u > 1, else 1 (Peng et al., CVPR 2022, eq. 10).

    Args:
        scores, present: (M,) as in `score_ratio`, whose mean over the others is our reading for more than two modalities;
            several of them may be ahead.
        alpha: positive.

    Returns:
        (M,) in (0, 1]; all 1 where fewer than two modalities are present.
    """
    ratio = score_ratio(scores, present)
    return torch.where(ratio > 1, 1 - torch.tanh(alpha * ratio), 1)


def slow_and_fast(scores: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """PMR's coefficients: how far each modality is behind, min(1, 1/ρ - 1), and ahead, min(1, ρ - 1), else 0.

    Args:
        scores, present: (M,) as in `score_ratio`.

    Returns:
        (M,) and (M,) in [0, 1] (Fan et al., CVPR 2023).
    """
    ratio = score_ratio(scores, present)
    behind = 1 / ratio.clamp(min=0.5) - 1
    return torch.where(present, behind, 0).clamp(0, 1), (ratio - 1).clamp(0, 1)
