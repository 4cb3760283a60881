"""How much the gradients of dominant modalities are slowed."""

from __future__ import annotations

import torch
from torch import Tensor


def modulation(scores: Tensor, there: Tensor, alpha: float) -> Tensor:
    """OGM's coefficients: k_u = 1 - tanh(α ρ_u) where ρ_u > 1, else 1 (Peng et al., CVPR 2022, eq. 10).

    ρ_u is the score of u over the mean score of the other modalities, for two the ratio of the paper; more than one
    modality may exceed that mean. The mean is our reading for more than two.

    Args:
        scores: (M,) non-negative, the confidence in the truth of each modality.
        there: (M,) bool, whether any row has it; the others neither count nor are slowed.
        alpha: positive.

    Returns:
        (M,) in (0, 1]; all 1 where fewer than two modalities are there.
    """
    kept = scores * there
    others = (kept.sum() - kept) / (there.sum() - there.to(kept.dtype)).clamp(min=1)
    ratio = torch.where(there & (others > 0), kept / others.clamp(min=torch.finfo(kept.dtype).tiny), 0)
    return torch.where(ratio > 1, 1 - torch.tanh(alpha * ratio), 1)
