"""Share of right classes."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class Accuracy(Metric):
    """Share of the rows whose predicted class is the true one."""

    inputs = "classes"

    def value(self, prediction: Array, target: Array) -> float:
        return float(np.mean(prediction == target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(prediction == target)
