"""The risk of predictions after the best scale for all of them: what is left when nobody is over- or under-confident."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from deconfound.scoring.weights import Array

_WIDEST = 8.0
"""Temperatures are searched between exp(-8) and exp(8)."""


def tempered_risk(logits: Array, target: Array) -> float:
    """Least mean cross-entropy of softmax(logits / T) over temperatures T > 0 (Guo et al., ICML 2017).

    Args:
        logits: (N, C), finite.
        target: (N,) class numbers in [0, C).

    Returns:
        in nats, within 1e-6 of the least over T in [exp(-8), exp(8)].
    """
    wide = logits.astype(np.float64)
    wide = wide - wide[np.arange(len(wide)), target][:, None]  # the true class has 0

    def risk(log_temperature: float) -> float:
        scaled = wide * np.exp(-log_temperature)
        highest = scaled.max(axis=1)
        return float((highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))).mean())

    found = minimize_scalar(risk, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 1e-4})
    return float(found.fun)


def scaled_risk(prediction: Array, target: Array, centre: float, *, squares: bool) -> float:
    """Least mean risk of centre + a (prediction − centre) over factors a ≥ 0.

    The best factor of squares is that of least squares. For absolute errors it is the median of the ratios
    (y − centre) / (ŷ − centre), weighted by |ŷ − centre|.

    Args:
        prediction, target: (N,).
        centre: mean of the training targets.
        squares: squared errors; absolute ones if False.
    """
    moved, wanted = prediction.astype(np.float64) - centre, target.astype(np.float64) - centre
    if squares:
        power = float(moved @ moved)
        factor = max(0.0, float(moved @ wanted) / power) if power > 0 else 0.0
        return float(np.square(wanted - factor * moved).mean())
    kept = moved != 0
    factor = max(0.0, _weighted_median(wanted[kept] / moved[kept], np.abs(moved[kept]))) if kept.any() else 0.0
    return float(np.abs(wanted - factor * moved).mean())


def _weighted_median(values: Array, weights: Array) -> float:
    """The least value up to which at least half of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
