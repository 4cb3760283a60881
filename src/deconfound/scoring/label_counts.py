"""Hits of several labels a row, for F1."""

from __future__ import annotations

from deconfound.scoring.class_counts import ClassCounts
from deconfound.scoring.weights import Array


def predicted_labels(logits: Array) -> Array:
    """(N, L) bool: a label is predicted where its probability is a half or more."""
    return logits >= 0


def count_labels(weights: Array, logits: Array, target: Array) -> ClassCounts:
    """(R, L) sums of each label under (R, N) row weights.

    Args:
        logits: (N, L).
        target: (N, L) of 0 and 1.
    """
    predicted, true = predicted_labels(logits), target > 0
    return ClassCounts(*(weights @ member.astype(float) for member in (predicted & true, true, predicted)))
