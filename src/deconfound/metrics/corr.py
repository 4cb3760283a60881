"""Pearson's correlation."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, centred, ratio, weighted_variance


def _direction(values: Array) -> Array:
    """(N,) values → (N,) float64 of mean 0 and length 1; the largest is 1 before they are squared, which could overflow."""
    differences = values.astype(np.float64) - values.mean(dtype=np.float64)
    differences /= np.abs(differences).max()
    return differences / np.linalg.norm(differences)


class Corr(Metric):
    """Pearson's r in [-1, 1]; None where either side is constant or there are fewer than two rows."""

    inputs = "values"

    def value(self, prediction: Array, target: Array) -> float | None:
        if len(target) < 2 or np.ptp(prediction) == 0 or np.ptp(target) == 0:
            return None
        return min(1.0, max(-1.0, float(_direction(prediction) @ _direction(target))))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        p, y = centred(prediction), centred(target)

        def values(weights: Array) -> Array:
            total = weights.sum(axis=1)
            covariance = ratio(weights @ (p * y), total) - ratio(weights @ p, total) * ratio(weights @ y, total)
            return ratio(covariance, np.sqrt(weighted_variance(weights, p) * weighted_variance(weights, y)))

        return values
