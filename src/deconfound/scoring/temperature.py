"""Temperature scaling: one number that makes the probabilities of a classifier fit its validation rows."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import fminbound
from scipy.special import log_softmax

from deconfound.scoring.calibration import checked_probabilities
from deconfound.scoring.weights import Array

COLDEST, HOTTEST = 1 / 100, 100.0
"""Limits of a temperature: predictions without any relation to the labels ask for infinity."""


def fit_temperature(logits: Array, target: Array) -> float:
    """The T > 0 whose softmax(logits / T) has the smallest mean cross-entropy, over the rows and one of unknown class.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017. The further row, whose label is spread evenly
    over the classes, is ours: without it a few rows that are all predicted right would ask for T = 0, and one wrong row
    would then cost without bound.

    Args:
        logits: (N, C).
        target: (N,) class numbers in [0, C).

    Returns:
        a number in [0.01, 100]; the predicted classes stay the same.

    Raises:
        DataError: as `scoring.calibration.checked_probabilities`.
    """
    checked_probabilities(logits, target)
    wide, rows = np.asarray(logits, dtype=np.float64), np.arange(len(target))

    def risk(sharpness: float) -> float:
        logs = log_softmax(sharpness * wide, axis=1)
        return -float(logs[rows, target].sum() + logs.mean()) / (len(rows) + 1)

    # the risk is convex in 1 / T; the search is over its logarithm, as both ends matter alike
    limits = (-math.log(HOTTEST), -math.log(COLDEST))
    return math.exp(-np.asarray(fminbound(lambda x: risk(math.exp(x)), *limits, xtol=1e-6)).item())
