"""F1 averaged over classes."""

from __future__ import annotations

from deconfound.metric import Metric
from deconfound.scoring.class_counts import count_classes, count_weighted_classes, f1_by_class
from deconfound.scoring.weights import Array, Weighted, ratio


class MacroF1(Metric):
    """Mean of F1_c over the classes that occur in the labels or the predictions."""

    inputs = "classes"

    def value(self, prediction: Array, target: Array) -> float:
        counts = count_classes(prediction, target)
        occurs = counts.true + counts.predicted > 0
        return float(f1_by_class(counts)[occurs].mean())

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        def values(weights: Array) -> Array:
            counts = count_weighted_classes(weights, prediction, target)
            occurs = counts.true + counts.predicted > 0
            return ratio(f1_by_class(counts).sum(axis=1), occurs.sum(axis=1).astype(float))

        return values
