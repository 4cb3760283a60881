"""Means and deviations over seeds, and repeats pooled to one value per seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from deconfound.statistics.student import sample_deviation


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


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    every = list(values)
    known = [value for value in every if value is not None]
    mean = fmean(known) if known else None
    return Spread(mean, sample_deviation(known), len(known), len(every))


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
