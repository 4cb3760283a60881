"""Tests of paired differences over seeds, and corrections for several comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from deconfound.errors import DataError
from deconfound.statistics.ties import ROUNDING

Correction = Literal["holm", "benjamini-hochberg", "bonferroni", "none"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "benjamini-hochberg", "bonferroni", "none")
EXACT = 16
"""Largest number of differences for which all 2ⁿ sign patterns are taken."""


def sign_flip(differences: np.ndarray, generator: np.random.Generator | None = None, resamples: int = 9999) -> float:
    """Two-sided p-value of the paired permutation test on the mean.

    Under the null hypothesis each difference is as likely with the other sign. With n seeds the smallest p-value is
    2 / 2ⁿ.

    Args:
        differences: (n,) ours − theirs, one per seed.
        generator: draws sign patterns for more than `EXACT` differences.
        resamples: number of sign patterns that are drawn.

    Raises:
        DataError: no difference, or more than `EXACT` of them without a generator.

    Source: Fisher 1935; the drawn test counts the observed pattern, (b + 1) / (m + 1), as Phipson and Smyth 2010.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise DataError(f"a paired test needs (n,) differences; got the shape {values.shape}")
    observed = abs(values.sum()) - 1e-9 * np.abs(values).sum()
    if len(values) <= EXACT:
        bits = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ values) >= observed))
    if generator is None:
        raise DataError(f"{len(values)} differences have too many sign patterns for an exact test; give a generator")
    signs = 1 - 2 * generator.integers(0, 2, size=(resamples, len(values)))
    return float((np.sum(np.abs(signs @ values) >= observed) + 1) / (resamples + 1))


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; differences of 0 are left out, and 1.0 if all are 0.

    Exact up to `EXACT` differences, also for equal ones, which share the mean of their ranks; beyond that
    `scipy.stats.wilcoxon`, which is exact up to 50 without ties. With n seeds the smallest p-value is 2 / 2ⁿ.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    from scipy import stats

    if len(values) > EXACT:
        return float(np.asarray(stats.wilcoxon(values).pvalue))  # type: ignore[attr-defined]
    size = np.abs(values)
    return sign_flip(np.sign(values) * stats.rankdata(np.round(size / (ROUNDING * size.max()))))


def corrected(p: Sequence[float | None], how: Correction = "holm") -> list[float | None]:
    """Adjusted p-values, to be compared with the level itself; None stays None and is not counted as a comparison.

    "holm" bounds the chance of any false claim under every dependence; "benjamini-hochberg" the expected share of false
    claims among all claims, for independent or positively dependent tests, as those against one baseline are.

    Raises:
        DataError: a p-value outside [0, 1], or an unknown correction.
    """
    defined = np.asarray([value for value in p if value is not None], dtype=np.float64)
    if how not in CORRECTIONS:
        raise DataError(f"there is no correction {how!r}; choose one of: {', '.join(CORRECTIONS)}")
    if not ((defined >= 0) & (defined <= 1)).all():
        raise DataError(f"p-values lie in [0, 1]; got {defined.tolist()}")
    adjusted = iter(_adjust(defined, how).tolist() if len(defined) else [])
    return [None if value is None else next(adjusted) for value in p]


def _adjust(p: np.ndarray, how: Correction) -> np.ndarray:
    count = len(p)
    if how == "bonferroni":
        return np.minimum(1.0, p * count)
    if how == "holm":
        order = np.argsort(p, kind="stable")
        steps = np.maximum.accumulate(p[order] * (count - np.arange(count)))
        return np.minimum(1.0, steps[np.argsort(order)])
    if how == "benjamini-hochberg":
        from scipy.stats import false_discovery_control

        return np.asarray(false_discovery_control(p, method="bh"))
    return p
