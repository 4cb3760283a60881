"""F1 weighted by the rows of each true class."""

from __future__ import annotations

from deconfound.metric import Metric
from deconfound.scoring.class_counts import count_classes, count_weighted_classes, f1_by_class
from deconfound.scoring.weights import Array, Weighted, ratio


class WeightedF1(Metric):
    """Σ_c (n_c / N) F1_c, n_c the rows whose true class is c."""

    inputs = "classes"

    def value(self, prediction: Array, target: Array) -> float:
        counts = count_classes(prediction, target)
        return float((counts.true * f1_by_class(counts)).sum() / len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        def values(weights: Array) -> Array:
            counts = count_weighted_classes(weights, prediction, target)
            return ratio((counts.true * f1_by_class(counts)).sum(axis=1), weights.sum(axis=1))

        return values
