"""Temperature scaling: one number that makes the probabilities of a classifier fit its validation rows."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from deconfound.scoring.calibration import checked_probabilities
from deconfound.scoring.weights import Array

COLDEST, HOTTEST = 1 / 100, 100.0
"""Limits of a temperature: rows that are all predicted right would ask for 0, rows without any relation for infinity."""


def fit_temperature(logits: Array, target: Array) -> float:
    """The T > 0 whose softmax(logits / T) has the smallest mean cross-entropy.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

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
        return -float(log_softmax(sharpness * wide, axis=1)[rows, target].mean())

    # the risk is convex in 1 / T; the search is over its logarithm, as both ends matter alike
    limits = (-math.log(HOTTEST), -math.log(COLDEST))
    optimum = minimize_scalar(lambda x: risk(math.exp(x)), bounds=limits, method="bounded", options={"xatol": 1e-6})
    return math.exp(-float(optimum.x))
