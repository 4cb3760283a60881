"""Calibration of classifiers: are the probabilities what they say, and are the confident answers the right ones?

A regression here predicts one number and no distribution, so none of these is defined for it; nothing stands in for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.errors import DataError
from deconfound.evaluation.metrics import Array, Metric

BINS = 15
"""Bins of the expected calibration error: equal widths over [0, 1], closed on the right, 0 in the first."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; K bins, empty ones with NaN means.

    Args:
        count: (K,) rows per bin.
        confidence: (K,) mean probability of the chosen class.
        accuracy: (K,) share of rows whose chosen class is the true one.
    """

    count: Array
    confidence: Array
    accuracy: Array


def probabilities(logits: Array) -> Array:
    """(N, C) softmax of (N, C) logits, in float64."""
    wide = np.asarray(logits, dtype=np.float64)
    if wide.ndim != 2 or wide.shape[1] < 2:
        raise DataError(f"calibration needs (N, C) logits of two or more classes; got {wide.shape}")
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def confidence_bins(confidence: Array, bins: int = BINS) -> Array:
    """(N,) bin numbers of (N,) confidences in [0, 1]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(logits: Array, target: Array, bins: int = BINS) -> Reliability:
    """Confidence against accuracy.

    Args:
        logits: (N, C); target: (N,) class numbers in [0, C).

    Raises:
        DataError: fewer than two classes, or shapes that do not fit.
    """
    share = _checked(logits, target)
    inside = confidence_bins(share.max(axis=1), bins)
    count = np.bincount(inside, minlength=bins)
    right = share.argmax(axis=1) == target
    sums = [np.bincount(inside, weights=values, minlength=bins) for values in (share.max(axis=1), right.astype(float))]
    confidence, accuracy = (np.where(count > 0, total / np.maximum(count, 1), np.nan) for total in sums)
    return Reliability(count, confidence, accuracy)


def ece(logits: Array, target: Array) -> float | None:
    """Expected calibration error in [0, 1]: Σ_k (n_k / N) |accuracy_k − confidence_k| over `BINS` bins.

    None without a row. Biased upwards on few rows. Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    if len(target) == 0:
        return None
    found = reliability(logits, target)
    filled = found.count > 0
    gap = np.abs(found.accuracy[filled] - found.confidence[filled])
    return float((found.count[filled] * gap).sum() / len(target))


def row_brier(logits: Array, target: Array) -> Array:
    """(N,) squared distance in [0, 2] of the probabilities from the true class's corner."""
    share = _checked(logits, target)
    truth = np.arange(share.shape[1]) == np.asarray(target)[:, None]
    return ((share - truth) ** 2).sum(axis=1)


def brier(logits: Array, target: Array) -> float | None:
    """Brier score in [0, 2]: the mean of `row_brier`; None without a row.

    With two classes it is twice the score that is taken over one class. Source: Brier, 1950.
    """
    return float(row_brier(logits, target).mean()) if len(target) else None


def aurc(logits: Array, target: Array) -> float | None:
    """Area under the risk–coverage curve in [0, 1]: (1/N) Σ_k error rate among the k most confident rows.

    Rows of equal confidence count as in the mean over their orders. None without a row.
    Source: Geifman, Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, 2019.
    """
    if len(target) == 0:
        return None
    share = _checked(logits, target)
    levels, block = np.unique(-share.max(axis=1), return_inverse=True)
    wrong = (share.argmax(axis=1) != target).astype(float)
    rate = np.bincount(block, weights=wrong, minlength=len(levels)) / np.bincount(block, minlength=len(levels))
    expected = np.cumsum(rate[np.sort(block)])  # errors among the first k rows, in the mean over orders
    return float(np.mean(expected / np.arange(1, len(expected) + 1)))


def _checked(logits: Array, target: Array) -> Array:
    """Probabilities, after a look at the class numbers."""
    share, classes = probabilities(logits), np.asarray(target)
    if classes.shape != (len(share),) or (len(classes) and not (0 <= classes.min() <= classes.max() < share.shape[1])):
        raise DataError(f"{share.shape} probabilities need ({len(share)},) class numbers below {share.shape[1]}")
    return share


CALIBRATION: Mapping[str, Metric] = {
    "ece": Metric(ece, higher_is_better=False),
    "brier": Metric(brier, higher_is_better=False),
    "aurc": Metric(aurc, higher_is_better=False),
}
"""Metrics of classification that need the kept predictions; they are computed from these and are not in records.jsonl."""
