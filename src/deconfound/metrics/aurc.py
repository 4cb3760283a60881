"""Area under the risk–coverage curve."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.calibration import checked_probabilities
from deconfound.scoring.weights import Array, Weighted, ratio, tie_starts


class AURC(Metric):
    """Area under the risk–coverage curve in [0, 1]: (1/N) Σ_k error rate among the k most confident rows.

    Rows of equal confidence count as in the mean over their orders.
    Source: Geifman, Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, 2019.
    """

    inputs = "logits"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        share = checked_probabilities(prediction, target)
        levels, level_of_row = np.unique(-share.max(axis=1), return_inverse=True)
        wrong = (share.argmax(axis=1) != target).astype(float)
        errors = np.bincount(level_of_row, weights=wrong, minlength=len(levels))
        rate = errors / np.bincount(level_of_row, minlength=len(levels))
        expected = np.cumsum(rate[np.sort(level_of_row)])  # errors among the first k rows, in the mean over orders
        return float(np.mean(expected / np.arange(1, len(expected) + 1)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        share = checked_probabilities(prediction, target)
        confidence, wrong = share.max(axis=1), share.argmax(axis=1) != target

        def values(weights: Array) -> Array:
            if not len(wrong):
                return np.full(len(weights), np.nan)
            order, starts = tie_starts(-confidence)
            size = np.add.reduceat(weights[:, order], starts, axis=1)
            errors = np.add.reduceat((weights * wrong)[:, order], starts, axis=1)
            before, errors_before = np.cumsum(size, axis=1) - size, np.cumsum(errors, axis=1) - errors
            rate = errors / np.where(size > 0, size, 1)
            rows = int(weights.sum(axis=1).max(initial=0))
            harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, rows + 1))])
            spans = harmonic[(before + size).astype(int)] - harmonic[before.astype(int)]
            # within a run of equal confidence, row k of the ranking has risk rate + (errors_before − before·rate) / k
            total = (size * rate + (errors_before - before * rate) * spans).sum(axis=1)
            return ratio(total, weights.sum(axis=1))

        return values
