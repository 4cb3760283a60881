"""Agreement of the representations of one row in two modalities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.rows import full_precision


@full_precision
def instance_alignment(first: Tensor, second: Tensor, present: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE: each row must find itself in the other modality by cosine similarity (van den Oord et al., 2018).

    Args:
        first, second: (B, D) representations of two modalities.
        present: (B,) bool, rows that have both.
        temperature: τ > 0.

    Returns:
        () non-negative, at most log n + 2/τ for n present rows; 0 with fewer than two of them.
    """
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    off = ~(present.unsqueeze(0) & present.unsqueeze(1))
    logits = logits.masked_fill(off, -torch.inf)
    own = torch.arange(len(logits), device=logits.device)
    logits = torch.where(off & (own.unsqueeze(0) == own.unsqueeze(1)), 0, logits)  # an absent row finds itself: cost 0
    both = F.cross_entropy(logits, own, reduction="sum") + F.cross_entropy(logits.T, own, reduction="sum")
    return both / (2 * present.sum().clamp(min=1))
