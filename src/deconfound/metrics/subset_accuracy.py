"""Share of rows all of whose labels are right."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.label_counts import predicted_labels
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class SubsetAccuracy(Metric):
    """Share of the rows whose predicted labels are exactly theirs."""

    inputs = "label-logits"

    def value(self, prediction: Array, target: Array) -> float:
        return float(np.mean(_right(prediction, target)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(_right(prediction, target))


def _right(logits: Array, target: Array) -> Array:
    return (predicted_labels(logits) == (target > 0)).all(axis=1)
