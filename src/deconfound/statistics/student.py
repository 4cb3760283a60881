"""Student's t-intervals of a mean over seeds, single and paired."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

LEVEL = 0.95
"""Level of the intervals of a report."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % Student t-interval; `low` and `high` are None for one seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def mean_interval(values: Iterable[float | None]) -> Interval | None:
    """Mean of the defined values, as in `scipy.stats.ttest_1samp`; None without one.

    Source: x̄ ± t(0.975, n − 1) s / √n.
    """
    defined = [value for value in values if value is not None]
    return _interval(defined) if defined else None


def paired_interval(ours: Mapping[int, float | None], theirs: Mapping[int, float | None]) -> Interval | None:
    """Ours − theirs over the seeds where both are defined, as in `scipy.stats.ttest_rel`; None without such a seed.

    Args:
        ours, theirs: seed → value.
    """
    differences = []
    for seed, value in ours.items():
        other = theirs.get(seed)
        if value is not None and other is not None:
            differences.append(value - other)
    return mean_interval(differences)


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


def _interval(values: Sequence[float]) -> Interval:
    mean, count = fmean(values), len(values)
    deviation = sample_deviation(values)
    if deviation is None:
        return Interval(mean, None, None, 1)
    half = _report_quantile(count - 1) * deviation / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


@cache
def _report_quantile(freedom: int) -> float:
    return t_quantile(freedom, 1 - LEVEL)
