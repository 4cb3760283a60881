"""Coefficient of determination."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, centred, ratio, weighted_variance


class R2(Metric):
    """1 − Σ(p − y)² / Σ(y − ȳ)², at most 1; None where the labels are constant or there are fewer than two rows."""

    inputs = "values"

    def value(self, prediction: Array, target: Array) -> float | None:
        if len(target) < 2 or np.ptp(target) == 0:
            return None
        p, y = prediction.astype(np.float64), target.astype(np.float64)
        return 1 - float(((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        error, y = (prediction.astype(np.float64) - target) ** 2, centred(target)

        def values(weights: Array) -> Array:
            mean_error = ratio(weights @ error, weights.sum(axis=1))
            return 1 - ratio(mean_error, weighted_variance(weights, y))

        return values
