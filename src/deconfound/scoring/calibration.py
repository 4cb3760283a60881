"""Probabilities of classifiers and how often they hold: the reliability diagram.

A regression here predicts one number and no distribution, so calibration is not defined for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deconfound.errors import DataError
from deconfound.scoring.weights import Array

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
    """(N, C) softmax of (N, C) logits, in float64.

    Raises:
        DataError: fewer than two classes.
    """
    wide = np.asarray(logits, dtype=np.float64)
    if wide.ndim != 2 or wide.shape[1] < 2:
        raise DataError(f"calibration needs (N, C) logits of two or more classes; got {wide.shape}")
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def checked_probabilities(logits: Array, target: Array) -> Array:
    """`probabilities`, after a check of the class numbers.

    Raises:
        DataError: fewer than two classes, or class numbers that are out of range or not (N,).
    """
    share, classes = probabilities(logits), np.asarray(target)
    if classes.shape != (len(share),) or (len(classes) and not (0 <= classes.min() <= classes.max() < share.shape[1])):
        raise DataError(
            f"{share.shape} probabilities need ({len(share)},) class numbers below {share.shape[1]}, from 0; got "
            f"{classes.shape}, from {classes.min(initial=0)} to {classes.max(initial=0)}"
        )
    return share


def confidence_bins(confidence: Array, bins: int = BINS) -> Array:
    """(N,) bin numbers of (N,) confidences in [0, 1]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(logits: Array, target: Array, bins: int = BINS) -> Reliability:
    """Confidence against accuracy.

    Args:
        logits: (N, C).
        target: (N,) class numbers in [0, C).

    Raises:
        DataError: as `checked_probabilities`.
    """
    share = checked_probabilities(logits, target)
    bin_of_row = confidence_bins(share.max(axis=1), bins)
    count = np.bincount(bin_of_row, minlength=bins)
    is_right = (share.argmax(axis=1) == target).astype(float)
    sums = [np.bincount(bin_of_row, weights=values, minlength=bins) for values in (share.max(axis=1), is_right)]
    confidence, accuracy = (np.where(count > 0, total / np.maximum(count, 1), np.nan) for total in sums)
    return Reliability(count, confidence, accuracy)
