"""Means and deviations over seeds, and paired differences with their interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev


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
    """Mean difference over common seeds with its 95 % Student t-interval; `low` and `high` are None for one seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    every = list(values)
    known = [value for value in every if value is not None]
    sd = stdev(known) if len(known) > 1 else None
    return Spread(fmean(known) if known else None, sd, len(known), len(every))


def paired_interval(ours: Mapping[int, float | None], theirs: Mapping[int, float | None]) -> Interval | None:
    """Ours − theirs over the seeds where both are defined, as in `scipy.stats.ttest_rel`; None without such a seed.

    Source: d̄ ± t(0.975, n − 1) s_d / √n.
    """
    differences = []
    for seed, value in ours.items():
        other = theirs.get(seed)
        if value is not None and other is not None:
            differences.append(value - other)
    if not differences:
        return None
    mean, count = fmean(differences), len(differences)
    if count == 1:
        return Interval(mean, None, None, 1)
    from scipy.stats import t

    half = float(t.ppf(0.975, count - 1)) * stdev(differences) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)
