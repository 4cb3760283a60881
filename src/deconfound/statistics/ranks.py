"""Several methods over several datasets: average ranks, Friedman's test, Nemenyi's critical difference.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006.
"""

from __future__ import annotations

from math import factorial, prod
from typing import NamedTuple

import numpy as np

from deconfound.errors import DataError


class Friedman(NamedTuple):
    """Friedman's χ² with ties, and Iman and Davenport's F, which is less conservative.

    Args:
        statistic: χ² with A − 1 degrees of freedom; p: its p-value.
        f: F with A − 1 and (A − 1)(D − 1) degrees of freedom, infinite for the same order on every dataset; f_p: its
            p-value. Neither p-value is below the smallest of the exact test, (A!)^(1 − D) without ties.
    """

    statistic: float
    p: float
    f: float
    f_p: float


def ranks(values: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """(D, A) ranks of A methods on each of D datasets; 1 is the best, equal values share the mean of their ranks.

    Args:
        values: (D, A), all finite. Each row is one dataset, or one dataset and metric.

    Raises:
        DataError: another shape, or a missing value: a method without a value has no rank.
    """
    from scipy.stats import rankdata

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise DataError(f"ranks need a finite value of each method on each dataset, (D, A); got {values.shape}")
    return rankdata(-values if higher_is_better else values, axis=1)


def average_ranks(values: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """(A,) mean of `ranks` over the datasets."""
    return ranks(values, higher_is_better=higher_is_better).mean(axis=0)


def friedman(ranked: np.ndarray) -> Friedman:
    """Friedman's test of the null hypothesis that all methods rank alike.

    Args:
        ranked: (D, A) ranks, D ≥ 2 datasets and A ≥ 3 methods.

    Raises:
        DataError: too few datasets or methods.
    """
    from scipy.stats import chi2
    from scipy.stats import f as fisher

    datasets, methods = _shape(ranked)
    if datasets < 2 or methods < 3:
        raise DataError(f"Friedman's test needs 2 datasets and 3 methods or more; got {datasets} and {methods}")
    centred = ranked - (methods + 1) / 2
    spread = float((centred**2).sum()) / (datasets * (methods - 1))
    if spread == 0:
        return Friedman(0.0, 1.0, 0.0, 1.0)
    statistic = float(datasets * (centred.mean(axis=0) ** 2).sum() / spread)
    rest = datasets * (methods - 1) - statistic
    f = (datasets - 1) * statistic / rest if rest > 1e-9 * datasets else float("inf")
    freedom = methods - 1, (methods - 1) * (datasets - 1)
    p, f_p = float(chi2.sf(statistic, freedom[0])), float(fisher.sf(f, *freedom))
    least = _smallest_p(ranked)
    return Friedman(statistic, max(p, least), f, max(f_p, least))


def _smallest_p(ranked: np.ndarray) -> float:
    """The smallest p-value that these ranks can give in any order: another name for each method changes no statistic."""
    orders = [
        factorial(len(row)) // prod(factorial(int(n)) for n in np.unique(row, return_counts=True)[1]) for row in ranked
    ]
    return max(orders) / prod(orders)


def critical_difference(methods: int, datasets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference q √(A (A + 1) / (6 D)): average ranks that differ by more differ significantly.

    The quantile q corrects for the comparison of all pairs. It is at least A − 1, which no difference exceeds, where the
    exact test cannot reach α: one method best and one worst on every dataset has the probability (A (A − 1))^(1 − D).

    Raises:
        DataError: fewer than 2 methods or no dataset.
    """
    from scipy.stats import studentized_range

    if methods < 2 or datasets < 1:
        raise DataError(f"a critical difference needs 2 methods and 1 dataset or more; got {methods} and {datasets}")
    q = float(studentized_range.ppf(1 - alpha, methods, np.inf)) / np.sqrt(2)
    least = methods - 1 if (methods * (methods - 1)) ** (1 - datasets) > alpha else 0
    return max(float(least), float(q * np.sqrt(methods * (methods + 1) / (6 * datasets))))


def cliques(average: np.ndarray, difference: float) -> list[tuple[int, ...]]:
    """The largest sets of methods whose average ranks lie within the critical difference, best first.

    Args:
        average: (A,) average ranks.

    Returns:
        Sets of two or more positions in `average`, each in the order of rank.
    """
    order = np.argsort(average, kind="stable")
    sets: list[tuple[int, ...]] = []
    last = -1
    for start in range(len(order)):
        stop = int(np.flatnonzero(average[order] <= average[order[start]] + difference)[-1])
        if stop > max(start, last):
            sets.append(tuple(order[start : stop + 1].tolist()))
            last = stop
    return sets


def _shape(ranked: np.ndarray) -> tuple[int, int]:
    if ranked.ndim != 2:
        raise DataError(f"ranks are (D, A), datasets by methods; got {ranked.shape}")
    return ranked.shape
