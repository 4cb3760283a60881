"""Values that tie, and the smallest p-value that any test of them can give."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-6
"""Values that differ by less than this share of the numbers they come from are equal: float32 predictions round so."""


def smallest_p(count: int) -> float:
    """The smallest two-sided p-value of an exact test of `count` differences: all of one sign, 2 of 2ⁿ patterns."""
    return min(1.0, 2.0 ** (1 - count))


def all_tie(values: np.ndarray, size: float) -> bool:
    """Whether values are equal but for rounding.

    Args:
        values: (n,) values, one or more.
        size: largest magnitude of the numbers that they were computed from.
    """
    return float(np.ptp(values)) <= ROUNDING * size


def differing(values: np.ndarray, size: float) -> np.ndarray:
    """(n,) bool: values that are not 0 but for rounding, see `all_tie`."""
    return np.abs(values) > ROUNDING * size
