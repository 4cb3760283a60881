"""Contrastive alignment of two modalities: which rows of the other modality a row should resemble.

    L = −(1/n) Σ_i Σ_j w_ij log softmax_j( cos(z_i, z'_j) / τ ),   averaged over both directions

The weights of a row sum to 1. "instance": its own partner alone. "label": all rows of its class alike (supervised
contrast); for a regression, rows with a near label, w_ij ∝ exp(−(y_i − y_j)² / 2σ²), σ a quarter of the labels' standard
deviation. "both": half each.

For "label" with classes each direction bounds the error of a simple classifier. With μ_c the mean of z'/τ in class c, π_c
the shares of the classes and p(c|z) ∝ π_c exp(z·μ_c), its cross-entropy on these rows is at most L − log n + H(π): by
Jensen, Σ_k exp(z·z'_k/τ) ≥ n Σ_c π_c exp(z·μ_c). That says nothing of other data: whatever predicts the label here, a
shortcut too, lowers L.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean

Alignment = Literal["label", "instance", "both"]

NEAR = 0.25
"""σ of the soft positives of a regression, in standard deviations of the labels."""
_NEVER = -1e9  # as a logit: no share of a softmax, and finite where all others are absent


def positives(target: Tensor, present: Tensor, kind: Alignment) -> Tensor:
    """How much row i should resemble row j of the other modality.

    Args:
        target: (B,) int64 class numbers, or floating-point labels of a regression.
        present: (*, B) bool, rows that have both modalities; one line per pair of modalities.

    Returns:
        (*, B, B) non-negative; the row of a present i sums to 1, every entry of an absent i or j is 0.
    """
    both = present.unsqueeze(-2) & present.unsqueeze(-1)
    instance = torch.eye(len(target), device=target.device) * both
    if kind == "instance":
        return instance
    gap = target.unsqueeze(0) - target.unsqueeze(1)
    if target.is_floating_point():
        middle = row_mean(target, present).unsqueeze(-1)
        spread = row_mean((target - middle).square(), present).clamp(min=1e-12)
        near = torch.exp(-gap.square() / (2 * NEAR**2 * spread)[..., None, None]).float()
    else:
        near = (gap == 0).float()
    near = near * both
    label = near / near.sum(-1, keepdim=True).clamp(min=1e-12)
    return label if kind == "label" else (label + instance) / 2


def similarity(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """cos(z_i, z'_j) / τ: (*, B, D) each → (*, B, B)."""
    return F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).mT / temperature


def directed_alignment(logits: Tensor, weights: Tensor, present: Tensor) -> Tensor:
    """One direction: each present anchor must find its positives among the present others.

    Args:
        logits: (*, B, B) from `similarity`, anchors in the rows.
        weights: (*, B, B) from `positives`.
        present: (*, B) bool, rows that have both.

    Returns:
        (*) non-negative; 0 without a present row.
    """
    logs = logits.masked_fill(~present.unsqueeze(-2), _NEVER).log_softmax(-1)
    return row_mean(-(weights * logs).sum(-1), present)


@full_precision
def alignment(
    first: Tensor, second: Tensor, target: Tensor, present: Tensor, *, kind: Alignment, temperature: float
) -> Tensor:
    """Both directions, by half each.

    Args:
        first, second: (*, B, D) representations of two modalities, or of many pairs.
        target: (B,) class numbers or labels.
        present: (*, B) bool; rows that lack one of the two are neither anchors nor candidates.
        temperature: τ > 0.

    Returns:
        (*) non-negative; 0 without a present row.
    """
    logits = similarity(first, second, temperature)
    return directed_alignment(torch.stack([logits, logits.mT]), positives(target, present, kind), present).mean(0)


def instance_alignment(first: Tensor, second: Tensor, present: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE (van den Oord et al., 2018): `alignment` of the kind "instance", which needs no label.

    Returns:
        (*) non-negative, at most log n + 2/τ for n present rows; 0 with fewer than two of them.
    """
    unread = torch.zeros(first.shape[-2], dtype=torch.int64, device=first.device)
    return alignment(first, second, unread, present, kind="instance", temperature=temperature)
