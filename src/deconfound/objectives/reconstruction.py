"""Reconstruction error of a modality's features from its representations."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean

Reduction = Literal["mean", "sum"]


@full_precision
def reconstruction(decoded: Tensor, target: Tensor, present: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Squared error over dimensions and present rows: (*, B, D), (*, B, D) and (*, B) bool → (*).

    On standardised targets, predicting the mean has a mean error of 1. 0 where no row is present.
    """
    error = (decoded - target).square()
    if reduction == "sum":
        return (error.sum(-1) * present).sum(-1)
    return row_mean(error.mean(-1), present)
