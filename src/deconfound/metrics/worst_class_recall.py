"""Recall of the class that is recognised worst."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.class_counts import count_classes, count_weighted_classes
from deconfound.scoring.weights import Array, Weighted


class WorstClassRecall(Metric):
    """The smallest share of a class's rows that were recognised, over the classes that occur in the labels."""

    inputs = "classes"

    def value(self, prediction: Array, target: Array) -> float:
        hits, true, _ = count_classes(prediction, target)
        return float((hits[true > 0] / true[true > 0]).min())

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        def values(weights: Array) -> Array:
            hits, true, _ = count_weighted_classes(weights, prediction, target)
            recall = np.where(true > 0, hits / np.where(true > 0, true, 1), np.inf).min(axis=1, initial=np.inf)
            return np.where(np.isfinite(recall), recall, np.nan)

        return values
