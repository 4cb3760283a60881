"""Dependence between the invariant and the spurious part of one modality, without a B × B matrix."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.dependence import normalised_hsic
from deconfound.objectives.reconstruction import Reduction
from deconfound.objectives.rows import full_precision, row_moments

Nor = Literal["rows", "columns", "orth"]
Decorrelate = Literal["rows", "columns", "orth", "xcov", "hsic", "club"]
PRODUCTS: tuple[Nor, ...] = ("rows", "columns", "orth")
"""Measures that are products of the rows of two normalised representations."""


def decorrelation(
    kind: Decorrelate, first: Tensor, second: Tensor, present: Tensor, off_diagonal: float, reduction: Reduction
) -> Tensor:
    """(*) the term of a kind that needs no network ("club" does), for (*, B, D) representations and (*, B) presence."""
    if kind in PRODUCTS:
        return row_products(first, second, present, kind, off_diagonal, reduction)
    return {"xcov": cross_correlation, "hsic": normalised_hsic}[kind](first, second, present)


@full_precision
def row_products(
    first: Tensor, second: Tensor, present: Tensor, nor: Nor, off_diagonal: float, reduction: Reduction = "mean"
) -> Tensor:
    """Squared products of the normalised rows of two representations: R_dec of the CmIR paper.

    With C = Nor(first) Nor(second)ᵀ, (B, B), it is the squared Frobenius norm of diag(C) + α (C − diag C), Σ_b C_bb² +
    α² Σ_{b≠c} C_bc². The paper does not say over which axis Nor(x) = (x − mean) / std goes:

    - "rows": over the D dimensions of a row, so C_bc / D is the correlation of row b with row c;
    - "columns": over the rows of a dimension, as batch normalisation;
    - "orth": rows of length 1 that are not centred, so C_bc is a cosine (ours).

    By Gram matrices the sum over all (b, c) is ⟨NᵀN, SᵀS⟩: time B·D², memory D² instead of B².

    Args:
        first, second: (*, B, D).
        present: (*, B) bool; B in the formula is the number of present rows.
        off_diagonal: α in [0, 1].
        reduction: "sum" is the norm as printed, which grows with B² and, where rows are not of length 1, with D². "mean"
            (ours) divides C by D for "rows" and "columns", and the sum by its weights, B + α² B (B − 1): a mean of squared
            correlations (cosines), of independent directions 1/D at every B and α.

    Returns:
        (*) non-negative, for the mean of "rows" and "orth" at most 1; 0 where no row is present. A row ("columns": a column)
        that is constant counts as 0.
    """
    first, second = _normalised(first, present, nor), _normalised(second, present, nor)
    if nor != "orth" and reduction == "mean":
        first = first / first.shape[-1]
    weight = present.to(first.dtype)
    gram = (first.transpose(-2, -1) @ first) * (second.transpose(-2, -1) @ second)  # (*, D, D)
    same = (first * second).sum(-1).square().sum(-1)
    total = off_diagonal**2 * gram.sum((-2, -1)) + (1 - off_diagonal**2) * same
    if reduction == "sum":
        return total
    count = weight.sum(-1)
    return total / (count + off_diagonal**2 * count * (count - 1)).clamp(min=1)


def _normalised(values: Tensor, present: Tensor, nor: Nor) -> Tensor:
    """(*, B, D) normalised values, 0 in absent rows."""
    if nor == "columns":
        _, centred, variance = row_moments(values, present)
        return centred * (variance + 1e-12).rsqrt()
    if nor == "rows":
        centred = values - values.mean(-1, keepdim=True)
        values = centred * (centred.square().mean(-1, keepdim=True) + 1e-12).rsqrt()
    else:
        values = F.normalize(values, dim=-1)
    return values * present.unsqueeze(-1)


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
