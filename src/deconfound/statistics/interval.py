"""Intervals and tests for a mean over seeds, with the chance of the rows and the chance of the training both in them.

A metric is measured once per seed, on the same test rows for all. Its mean over n seeds varies for two reasons: other
seeds would train other models, and other rows would ask other questions. The half width of the interval is

    √(t²(n − 1) · V_seeds + t²(G − 1) · V_rows),    V_rows = max(0, V_both − V_meet)

    V_seeds  s² / n, s² the sample variance of the n values: what drawing n − 1 of n seeds gives in the limit
    V_both   variance of the mean over the bootstrap of rows, G − 1 of G clusters drawn
    V_meet   the part of V_both that V_seeds holds already, a seed answering these rows otherwise than the others do: the
             variance under the bootstrap of a seed's distance from the mean, / n

with Student's quantiles t. It covers at least what it says whatever the shares of the two (Banerjee 1960); with one share
alone it is the usual t-interval. Neither of the usual ways does: percentiles of a joint bootstrap of 3 seeds cover 72 %
instead of 95 %, and Satterthwaite's degrees of freedom fail in the tails that corrections for many methods ask for.

Source: Banerjee, Sankhya 22, 1960, for the quantiles; Rao and Wu, JASA 83, 1988, for n − 1 draws; Owen, The pigeonhole
bootstrap, 2007, for crossed factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deconfound.errors import DataError
from deconfound.scoring.weights import Weighted
from deconfound.statistics.student import t_quantile

Unit = Literal["rows and seeds", "seeds", "rows", "none"]
_CELLS = 4_000_000
"""Row weights that are held at once: 32 MB."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, or a mean difference.

    Args:
        mean: over seeds.
        error: its standard error; None, like the rest, where there is one seed and no resamples.
        low, high: ends of the interval.
        p: two-sided p-value of a mean of 0; at most 1 − the level where the interval leaves 0 out.
        seeds: n.
        unit: what the interval accounts for; "rows" is of these trained models alone.
    """

    mean: float
    error: float | None
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    unit: Unit


def resample(
    metrics: Sequence[Weighted], clusters: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Values of several metrics under the same resamples of rows, so that their differences are paired.

    Args:
        metrics: S weighted metrics of the same N rows.
        clusters: (N,) numbers 0 … G − 1; rows of one cluster (a video, a speaker) are drawn together. `arange(N)` draws
            rows singly.
        resamples: R.

    Returns:
        (S, R), NaN where a metric is undefined; all NaN for a single cluster.
    """
    if resamples < 2 or clusters.ndim != 1:
        raise DataError(f"a bootstrap needs two or more resamples and (N,) clusters; got {resamples}, {clusters.shape}")
    count = int(clusters.max(initial=-1)) + 1
    values = np.full((len(metrics), resamples), np.nan)
    if count < 2:
        return values
    step = max(1, _CELLS // max(1, len(clusters)))
    share = np.full(count, 1 / count)
    for start in range(0, resamples, step):
        stop = min(resamples, start + step)
        weights = generator.multinomial(count - 1, share, size=stop - start)[:, clusters].astype(np.float64)
        for number, metric in enumerate(metrics):
            values[number, start:stop] = metric(weights)
    return values


def estimate(
    values: np.ndarray, resampled: np.ndarray | None = None, clusters: int = 0, level: float = 0.95
) -> Estimate:
    """Interval and test of a mean over seeds.

    Args:
        values: (n,) one per seed, or paired differences.
        resampled: (n, R) the same under R resamples of rows; None if the rows are not at hand. Resamples with a NaN are
            left out; with more than half of them gone, all are.
        clusters: G of the resamples.
        level: of the interval, in (0, 1).

    Raises:
        DataError: no value, or one that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise DataError(f"an interval needs one or more finite values, one per seed; got {values.tolist()}")
    usable = _usable(resampled) if clusters > 1 else None
    seeds, mean = len(values), float(values.mean())
    if seeds == 1 and usable is None:
        return Estimate(mean, None, None, None, None, 1, "none")
    over_seeds = float(values.var(ddof=1)) / seeds if seeds > 1 else 0.0
    if usable is None:
        return _banerjee(mean, [(over_seeds, seeds - 1)], level, seeds, "seeds")
    over_rows = float(usable.mean(axis=0).var(ddof=1))
    if seeds == 1:
        return _banerjee(mean, [(over_rows, clusters - 1)], level, seeds, "rows")
    apart = usable - usable.mean(axis=0)
    meet = float(apart.var(axis=1, ddof=1).sum()) / (seeds - 1) / seeds
    parts = [(over_seeds, seeds - 1), (max(0.0, over_rows - meet), clusters - 1)]
    return _banerjee(mean, parts, level, seeds, "rows and seeds")


def _usable(resampled: np.ndarray | None) -> np.ndarray | None:
    if resampled is None:
        return None
    finite = resampled[:, np.isfinite(resampled).all(axis=0)]
    return finite if finite.shape[1] > max(1, resampled.shape[1] // 2) else None


def _banerjee(mean: float, parts: Sequence[tuple[float, int]], level: float, seeds: int, unit: Unit) -> Estimate:
    """From independent variances, each with its degrees of freedom."""
    half = _half_width(parts, 1 - level)
    error = math.sqrt(sum(variance for variance, _ in parts))
    return Estimate(mean, error, mean - half, mean + half, _p_value(mean, parts), seeds, unit)


def _half_width(parts: Sequence[tuple[float, int]], alpha: float) -> float:
    return math.sqrt(sum(variance * t_quantile(freedom, alpha) ** 2 for variance, freedom in parts))


def _p_value(mean: float, parts: Sequence[tuple[float, int]]) -> float:
    """The level at which the half width is |mean|, by bisection of its logarithm; at least 1e-12."""
    if mean == 0 or not any(variance for variance, _ in parts):
        return float(mean == 0)
    low, high = math.log(1e-12), 0.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _half_width(parts, math.exp(middle)) > abs(mean) else (low, middle)
    return math.exp(high)
