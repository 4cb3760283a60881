"""Means, deviations and Student's t-intervals over seeds, single and paired."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

LEVEL = 0.95
"""Of every interval of the report."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n − 1) of the defined values.

    Args:
        mean: None where no value is defined.
        sd: None below two defined values.
        defined: number of values that enter.
        total: number of values, the undefined ones too.
    """

    mean: float | None
    sd: float | None
    defined: int
    total: int


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % Student t-interval; `low` and `high` are None for one seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    every = list(values)
    known = [value for value in every if value is not None]
    mean = fmean(known) if known else None
    return Spread(mean, None if mean is None else _deviation(known, mean), len(known), len(every))


def over_repeats(values: Mapping[tuple[int, int], float | None]) -> dict[int, float | None]:
    """Seed → mean over its repeats, None where one of them is undefined: draws of one seed are not further seeds."""
    pooled: dict[int, list[float | None]] = {}
    for (seed, _), value in values.items():
        pooled.setdefault(seed, []).append(value)
    return {seed: mean_or_none(drawn) for seed, drawn in pooled.items()}


def mean_or_none(values: Iterable[float | None]) -> float | None:
    """Mean; None where a value is undefined or there is none."""
    every = list(values)
    known = [value for value in every if value is not None]
    return fmean(known) if known and len(known) == len(every) else None


def mean_interval(values: Iterable[float | None]) -> Interval | None:
    """Mean of the defined values, as in `scipy.stats.ttest_1samp`; None without one.

    Source: x̄ ± t(0.975, n − 1) s / √n.
    """
    known = [value for value in values if value is not None]
    return _interval(known) if known else None


def paired_interval(ours: Mapping[int, float | None], theirs: Mapping[int, float | None]) -> Interval | None:
    """Ours − theirs over the seeds where both are defined, as in `scipy.stats.ttest_rel`; None without such a seed.

    Source: d̄ ± t(0.975, n − 1) s_d / √n.
    """
    differences = []
    for seed, value in ours.items():
        other = theirs.get(seed)
        if value is not None and other is not None:
            differences.append(value - other)
    return _interval(differences) if differences else None


def _interval(values: Sequence[float]) -> Interval:
    mean, count = fmean(values), len(values)
    sd = _deviation(values, mean)
    if sd is None:
        return Interval(mean, None, None, 1)
    half = _quantile(count - 1) * sd / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


def _deviation(values: Sequence[float], mean: float) -> float | None:
    """Sample standard deviation; None below two values. The library's own sums fractions, too slow for thousands of calls."""
    if len(values) < 2:
        return None
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@cache
def _quantile(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + LEVEL / 2, freedom))
