"""Reconstruction error of a modality's features from its representations."""

from __future__ import annotations

from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean


@full_precision
def reconstruction(decoded: Tensor, target: Tensor, present: Tensor) -> Tensor:
    """Squared error, mean over dimensions and present rows: (*, B, D), (*, B, D) and (*, B) bool → (*).

    On standardised targets, predicting the mean has error 1. 0 where no row is present.
    """
    return row_mean((decoded - target).square().mean(-1), present)
