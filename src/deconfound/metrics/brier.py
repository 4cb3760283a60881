"""Brier score over all classes."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.calibration import checked_probabilities
from deconfound.scoring.weights import Array, Weighted, weighted_mean


class Brier(Metric):
    """Brier score in [0, 2]: the mean squared distance of the probabilities from the corner of the true class.

    With two classes it is twice the score that is taken over one class. Source: Brier, 1950.
    """

    inputs = "logits"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        return float(_squared_distances(prediction, target).mean())

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(_squared_distances(prediction, target))


def _squared_distances(logits: Array, target: Array) -> Array:
    """(N,) in [0, 2]."""
    share = checked_probabilities(logits, target)
    truth = np.arange(share.shape[1]) == np.asarray(target)[:, None]
    return ((share - truth) ** 2).sum(axis=1)
