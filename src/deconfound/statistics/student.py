"""Student's t-intervals of a mean over seeds, single and paired."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from deconfound.statistics.ties import ROUNDING, smallest_p

LEVEL = 0.95
"""Level of the intervals of a report."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % Student t-interval.

    Args:
        low, high: None for one seed, and for equal values, whose variance is not known to be 0.
        p: two-sided p-value of a mean of 0; of equal values that of as many equal signs, 2 / 2ⁿ; None for one seed.
        least_p: the smallest p-value that such values can have: 2 / 2ⁿ where they are equal, else 0.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    least_p: float
    seeds: int


def mean_interval(values: Iterable[float | None]) -> Interval | None:
    """Mean of the defined values, as in `scipy.stats.ttest_1samp`; None without one.

    Source: x̄ ± t(0.975, n − 1) s / √n.
    """
    defined = [value for value in values if value is not None]
    return _interval(defined, max(map(abs, defined))) if defined else None


def paired_interval(ours: Mapping[int, float | None], theirs: Mapping[int, float | None]) -> Interval | None:
    """Ours − theirs over the seeds where both are defined, as in `scipy.stats.ttest_rel`; None without such a seed.

    Args:
        ours, theirs: seed → value.
    """
    differences, size = [], 0.0
    for seed, value in ours.items():
        other = theirs.get(seed)
        if value is not None and other is not None:
            differences.append(value - other)
            size = max(size, abs(value), abs(other))
    return _interval(differences, size) if differences else None


def sample_deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n − 1); None below two values.

    The standard library's own adds fractions, which is too slow for thousands of calls.
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def t_quantile(freedom: int, alpha: float) -> float:
    """t with P(|T| > t) = alpha for Student's T: the half width of a (1 − alpha) interval in standard errors.

    Args:
        freedom: degrees of freedom, 1 or more.
        alpha: in (0, 1].
    """
    from scipy.special import stdtrit  # scipy.stats.t.ppf, a hundred times faster

    return -float(stdtrit(freedom, alpha / 2))


def t_p_value(t: float, freedom: int) -> float:
    """P(|T| > |t|) for Student's T."""
    from scipy.special import stdtr

    return 2 * float(stdtr(freedom, -abs(t)))


def _interval(values: Sequence[float], size: float) -> Interval:
    mean, count = fmean(values), len(values)
    deviation = sample_deviation(values)
    if deviation is None:
        return Interval(mean, None, None, None, 1.0, 1)
    if max(values) - min(values) <= ROUNDING * size:
        least = smallest_p(count)
        return Interval(mean, None, None, least if abs(mean) > ROUNDING * size else 1.0, least, count)
    error = deviation / math.sqrt(count)
    half = _report_quantile(count - 1) * error
    return Interval(mean, mean - half, mean + half, t_p_value(mean / error, count - 1), 0.0, count)


@cache
def _report_quantile(freedom: int) -> float:
    return t_quantile(freedom, 1 - LEVEL)
