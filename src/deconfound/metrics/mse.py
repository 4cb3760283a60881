"""Mean squared error."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class MSE(Metric):
    """Mean of (p − y)², in squared target units."""

    inputs = "values"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        return float(np.mean(_squared_errors(prediction, target)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(_squared_errors(prediction, target))


def _squared_errors(prediction: Array, target: Array) -> Array:
    """(N,) float64 (p − y)² of each row."""
    return (prediction.astype(np.float64) - target) ** 2
