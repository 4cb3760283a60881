"""One number for a curve of a metric over the severity of a corruption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deconfound.errors import DataError


def area_weights(severities: Sequence[float]) -> np.ndarray:
    """(V,) weights whose product with the V values of a metric is the area under the curve, by trapezoids.

    Raises:
        DataError: fewer than two severities, or not in ascending order.
    """
    levels = np.asarray(severities, dtype=np.float64)
    if levels.ndim != 1 or len(levels) < 2 or not (np.diff(levels) > 0).all():
        raise DataError(f"an area needs two or more severities in ascending order; got {levels.tolist()}")
    widths = np.diff(levels)
    return (np.concatenate([widths, [0.0]]) + np.concatenate([[0.0], widths])) / 2


def auilc(severities: Sequence[float], values: Sequence[float]) -> float:
    """Area under the curve, Σ_i (m_i + m_{i+1}) / 2 · (r_{i+1} − r_i), in units of the metric times the severity.

    The literature takes it over the rates 0, 0.1, … 1 of missing frames, where it is a mean of the metric.

    Raises:
        DataError: as `area_weights`, or a number of values that is not that of the severities.
    """
    weights, heights = area_weights(severities), np.asarray(values, dtype=np.float64)
    if heights.shape != weights.shape:
        raise DataError(f"{len(weights)} severities need as many values; got {heights.tolist()}")
    return float(weights @ heights)


def relative_robustness(severities: Sequence[float], values: Sequence[float]) -> float:
    """`auilc` over the range of severities: the mean height of the curve, in units of the metric.

    Comparable between methods under the same severities, which should include 0. It is better in the direction of the
    metric.
    """
    return auilc(severities, values) / (severities[-1] - severities[0])
