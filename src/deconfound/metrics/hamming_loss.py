"""Share of wrong labels."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.label_counts import predicted_labels
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class HammingLoss(Metric):
    """Share of the labels of all rows that are predicted wrongly, present or not."""

    inputs = "label-logits"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        return float(np.mean(_wrong_share(prediction, target)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(_wrong_share(prediction, target))


def _wrong_share(logits: Array, target: Array) -> Array:
    return (predicted_labels(logits) != (target > 0)).mean(axis=1)
