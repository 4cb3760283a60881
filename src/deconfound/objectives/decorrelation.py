"""Dependence between the invariant and the spurious part of one modality, without a B × B matrix."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.dependence import normalised_hsic
from deconfound.objectives.rows import full_precision, row_moments

Decorrelate = Literal["orth", "xcov", "hsic", "club"]


def decorrelation(kind: Decorrelate, first: Tensor, second: Tensor, present: Tensor, off_diagonal: float) -> Tensor:
    """(*) the term of a kind that needs no network ("club" does), for (*, B, D) representations and (*, B) presence."""
    if kind == "orth":
        return row_orthogonality(first, second, present, off_diagonal)
    return {"xcov": cross_correlation, "hsic": normalised_hsic}[kind](first, second, present)


@full_precision
def row_orthogonality(first: Tensor, second: Tensor, present: Tensor, off_diagonal: float) -> Tensor:
    """Squared cosines between the rows of two representations: the published term ("orth").

    With unit rows n_b and s_b it is Σ_{b,c} (w_bc n_b·s_c)² / B; w is 1 for b = c and `off_diagonal` = α elsewhere.
    By Gram matrices that is [α² ⟨NᵀN, SᵀS⟩ + (1 − α²) Σ_b (n_b·s_b)²] / B: time B·D², memory D² instead of B².
    It grows with B: of independent rows in all directions alike the expectation is (1 + α² (B − 1)) / D.

    Args:
        first, second: (*, B, D).
        present: (*, B) bool; B in the formula is the number of present rows.

    Returns:
        (*) in [0, 1 + α² (B − 1)]; 0 where no row is present.
    """
    weight = present.to(first.dtype)
    first, second = F.normalize(first, dim=-1) * weight.unsqueeze(-1), F.normalize(second, dim=-1)
    second = second * weight.unsqueeze(-1)
    gram = (first.transpose(-2, -1) @ first) * (second.transpose(-2, -1) @ second)  # (*, D, D)
    same = (first * second).sum(-1).square().sum(-1)
    total = off_diagonal**2 * gram.sum((-2, -1)) + (1 - off_diagonal**2) * same
    return total / weight.sum(-1).clamp(min=1)


@full_precision
def cross_correlation(first: Tensor, second: Tensor, present: Tensor) -> Tensor:
    """Mean squared correlation between the columns of two representations over the present rows ("xcov").

    Args:
        first: (*, B, D).
        second: (*, B, E).
        present: (*, B) bool.

    Returns:
        (*) in [0, 1], the mean over D × E pairs of columns; a constant column counts as uncorrelated. Of independent columns
        the expectation is 1 / (B − 1).
    """
    _, a, a_var = row_moments(first, present)
    _, b, b_var = row_moments(second, present)
    count = present.sum(-1).clamp(min=1).to(first.dtype)[..., None, None]
    a, b = a * (a_var + 1e-12).rsqrt(), b * (b_var + 1e-12).rsqrt()
    return ((a.transpose(-2, -1) @ b) / count).square().mean((-2, -1))
