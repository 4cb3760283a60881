"""Mean absolute error."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class MAE(Metric):
    """Mean of |p − y|, in target units."""

    inputs = "values"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        return float(np.mean(_absolute_errors(prediction, target)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(_absolute_errors(prediction, target))


def _absolute_errors(prediction: Array, target: Array) -> Array:
    return np.abs(prediction.astype(np.float64) - target)
