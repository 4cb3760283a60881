"""Expected calibration error of several labels a row."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.calibration import BINS, confidence_bins
from deconfound.scoring.weights import Array, Weighted, ratio, with_unit_weights


class LabelECE(Metric):
    """Σ_k (n_k / NL) |frequency_k − probability_k| in [0, 1] over 15 bins of equal width of all N · L probabilities.

    The frequency is the share of a bin's pairs of row and label where the row has the label. Source: Guo et al., On
    Calibration of Modern Neural Networks, 2017, for the binary question of each label.
    """

    inputs = "label-logits"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float | None:
        return with_unit_weights(self.weighted(prediction, target), len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        wide = prediction.astype(np.float64)
        probability = np.where(wide >= 0, 1, np.exp(-np.abs(wide))) / (1 + np.exp(-np.abs(wide)))
        in_bin = confidence_bins(probability)[:, :, None] == np.arange(BINS)
        gaps = ((probability - target)[:, :, None] * in_bin).sum(axis=1)
        labels = prediction.shape[1]
        return lambda weights: ratio(np.abs(weights @ gaps).sum(axis=1), labels * weights.sum(axis=1))
