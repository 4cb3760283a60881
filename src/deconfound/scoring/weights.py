"""Sums under row weights: thousands of resamples of the rows cost one matrix product.

A resample of N rows is a whole number per row: how often the row was drawn. R resamples are an (R, N) array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Weighted = Callable[[Array], Array]
"""(R, N) counts of the rows in R resamples → (R,) values of a metric, NaN where the metric is undefined."""


def ratio(part: Array, whole: Array) -> Array:
    """part / whole for two (R,) arrays, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def weighted_mean(values: Array) -> Weighted:
    """The mean of (N,) values under row weights."""
    wide = np.asarray(values, dtype=np.float64)
    return lambda weights: ratio(weights @ wide, weights.sum(axis=1))


def centred(values: Array) -> Array:
    """(N,) values with zero mean, in float64; exact zeros where all values are equal."""
    wide = values.astype(np.float64)
    return wide - wide.mean() if len(wide) and np.ptp(wide) > 0 else np.zeros_like(wide)


def weighted_variance(weights: Array, values: Array) -> Array:
    """(R,) variance of (N,) centred values, exactly 0 where rounding is all that is left of it."""
    total = weights.sum(axis=1)
    variance = ratio(weights @ values**2, total) - ratio(weights @ values, total) ** 2
    return np.where(variance > 1e-12 * float(np.mean(values**2) if len(values) else 0.0), variance, 0.0)


def repeated_rows(value: Callable[[Array, Array], float | None], prediction: Array, target: Array) -> Weighted:
    """The weighted form of any metric, computed once per resample on the repeated rows: slow and always right.

    Args:
        value: (prediction, target) → value or None.
    """

    def values(weights: Array) -> Array:
        computed = np.full(len(weights), np.nan)
        for number, counts in enumerate(weights):
            drawn = np.repeat(np.arange(len(target)), counts.astype(np.int64))
            result = value(prediction[drawn], target[drawn]) if len(drawn) else None
            computed[number] = np.nan if result is None else result
        return computed

    return values


def with_unit_weights(metric: Weighted, rows: int) -> float | None:
    """The value of a weighted metric when each of its rows counts once; None where it is undefined."""
    value = float(metric(np.ones((1, rows)))[0])
    return None if np.isnan(value) else value


def tie_starts(score: Array) -> tuple[Array, Array]:
    """Rows in ascending order of an (N,) score, and the positions in that order where each run of equal scores starts."""
    order = np.argsort(score, kind="stable")
    return order, np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0)
