"""Area under the ROC curve of two classes."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, ratio, tie_starts, with_unit_weights


class AUROC(Metric):
    """Chance that a row of class 1 has a larger l₁ − l₀ than a row of class 0, ties half; None for one-class labels."""

    inputs = "logits"
    classes = 2

    def value(self, prediction: Array, target: Array) -> float | None:
        return with_unit_weights(self.weighted(prediction, target), len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        margin = prediction[:, 1].astype(np.float64) - prediction[:, 0]

        def values(weights: Array) -> Array:
            if not len(margin):
                return np.full(len(weights), np.nan)
            order, starts = tie_starts(margin)
            one = np.add.reduceat((weights * (target == 1))[:, order], starts, axis=1)
            zero = np.add.reduceat((weights * (target == 0))[:, order], starts, axis=1)
            below = np.cumsum(zero, axis=1) - zero
            return ratio((one * (below + zero / 2)).sum(axis=1), one.sum(axis=1) * zero.sum(axis=1))

        return values
