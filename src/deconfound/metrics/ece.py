"""Expected calibration error."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.calibration import BINS, checked_probabilities, confidence_bins, reliability
from deconfound.scoring.weights import Array, Weighted, ratio


class ECE(Metric):
    """Expected calibration error in [0, 1]: Σ_k (n_k / N) |accuracy_k − confidence_k| over 15 bins of equal width.

    Biased upwards on few rows. Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
    """

    inputs = "logits"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float:
        diagram = reliability(prediction, target)
        filled = diagram.count > 0
        gap = np.abs(diagram.accuracy[filled] - diagram.confidence[filled])
        return float((diagram.count[filled] * gap).sum() / len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        share = checked_probabilities(prediction, target)
        gap = share.max(axis=1) - (share.argmax(axis=1) == target)
        in_bin = confidence_bins(share.max(axis=1))[:, None] == np.arange(BINS)
        return lambda weights: ratio(np.abs(weights @ (gap[:, None] * in_bin)).sum(axis=1), weights.sum(axis=1))
