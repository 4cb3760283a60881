"""Predictions by the distance to the mean features of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.rows import full_precision


def class_means(features: Tensor, present: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean features of the rows of each class in which the modality is present.

    Args:
        features: (N, H).
        present: (N,) bool.
        labels: (N,) int64 in 0 … C - 1.

    Returns:
        (C, H) means, 0 for a class without rows, and (C,) bool whether it has any.
    """
    weight = present.to(features.dtype)
    total = features.new_zeros(classes, features.shape[1]).index_add(0, labels, features * weight.unsqueeze(1))
    count = features.new_zeros(classes).index_add(0, labels, weight)
    return total / count.clamp(min=1).unsqueeze(1), count > 0


@full_precision
def prototype_logits(features: Tensor, prototypes: Tensor, known: Tensor) -> Tensor:
    """Minus the Euclidean distance to each prototype.

    Args:
        features: (B, H).
        prototypes: (C, H).
        known: (C,) bool; the others get the lowest number, so that their softmax is 0.

    Returns:
        (B, C).
    """
    squares = (features.unsqueeze(1) - prototypes.to(features.dtype)).square().sum(2)
    return (-squares.clamp(min=1e-12).sqrt()).masked_fill(~known, torch.finfo(features.dtype).min)
