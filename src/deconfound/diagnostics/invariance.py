"""Whether a part, and the risk of the prediction, are the same in every environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deconfound.diagnostics.maps import linear_map
from deconfound.diagnostics.permuting import p_value, residual, shuffles, unit_of
from deconfound.diagnostics.probes import percentiles, usable
from deconfound.scoring.weights import Weighted
from deconfound.statistics.interval import resample
from deconfound.statistics.ties import all_tie

FEWEST_OF_ENVIRONMENT = 5


@dataclass(frozen=True)
class Shift:
    """How far environments move a part at a fixed label.

    Args:
        size: standard deviation of the environments' means, in units of that of the rows within one environment and bin
            of the label; root mean square over dimensions, without what chance alone gives; 0 for none.
        p: of no shift, by permutation.
        rows, environments, bins: used.
        unit: what was exchanged, see `permuting.unit_of`.
    """

    size: float
    p: float
    rows: int
    environments: int
    bins: int
    unit: str


@dataclass(frozen=True)
class EnvironmentRisk:
    """Mean risk of one environment with its 95 % bootstrap interval over rows, or groups where there are several."""

    environment: str
    risk: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True)
class Risks:
    """The risk of every environment.

    Args:
        spread: largest minus smallest mean.
        p: Kruskal and Wallis' test that the risks of all environments have one distribution; None for one environment.
        worst: name of the environment with the largest mean.
        left_out: environments with fewer than 5 rows, which are not compared.
    """

    environments: list[EnvironmentRisk]
    spread: float | None
    p: float | None
    worst: str | None
    left_out: int


def shift(
    x: np.ndarray,
    env: np.ndarray,
    bins: np.ndarray,
    target: np.ndarray | None,
    *,
    groups: np.ndarray | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> Shift | str:
    """Analysis of variance of a part over environments, within bins of the label, with a permutation test.

    Args:
        x: (N, D) a part. env: (N,) environment numbers.
        bins: (N,) of the label. target: (N,) real labels, of which a line is taken off in each bin; None for classes.
        groups: (N,) rows that belong together.

    Returns:
        The result, or the reason why there is none.
    """
    generator = np.random.default_rng(seed)
    rows, reason = usable(env, True, generator)
    if reason:
        return reason
    names, env = np.unique(env[rows], return_inverse=True)
    bins, whole = np.unique(bins[rows], return_inverse=True)[1], None if groups is None else groups[rows]
    left = residual(linear_map(x[rows])(x[rows]), bins, None if target is None else target[rows])
    left = left[:, left.std(axis=0) > 1e-9]
    if left.shape[1] == 0:
        return "it is constant"
    draws = shuffles(env, bins, whole, permutations, generator)
    values = np.array([_variances(left, drawn, bins) for drawn in draws])
    if not np.isfinite(values[0]).all():
        return "no bin of the label has rows of two environments to compare"
    ratios = np.where(np.isfinite(values[:, 1]), values[:, 1], -np.inf)
    size = float(np.sqrt(max(0.0, values[0, 0])))
    return Shift(size, p_value(ratios), len(rows), len(names), int(bins.max()) + 1, unit_of(env, whole))


def _variances(x: np.ndarray, env: np.ndarray, bins: np.ndarray) -> tuple[float, float]:
    """(variance between / variance within, mean square between / within), means over dimensions; NaN if undefined."""
    environments = int(env.max()) + 1
    cell = bins * environments + env
    member = (cell[:, None] == np.unique(cell)[None, :]).astype(np.float64)  # (N, cells)
    size = member.sum(axis=0)
    of_bin = np.unique(cell) // environments
    in_bin = (of_bin[:, None] == np.arange(bins.max() + 1)[None, :]).astype(np.float64)  # (cells, bins)
    freedom = len(size) - in_bin.shape[1]
    inside = len(x) - len(size)
    if freedom < 1 or inside < 1:
        return np.nan, np.nan
    means = (member.T @ x) / size[:, None]
    rows_of_bin = in_bin.T @ size
    middle = ((in_bin.T * size) @ means) / rows_of_bin[:, None]
    between = (size[:, None] * np.square(means - in_bin @ middle)).sum(axis=0) / freedom
    within = np.square(x - member @ means).sum(axis=0) / inside
    typical = float((rows_of_bin - (in_bin.T @ size**2) / rows_of_bin).sum()) / freedom
    known = within > 0
    if not known.any() or typical <= 0:
        return np.nan, np.nan
    ratio = between[known] / within[known]
    return float((ratio - 1).mean() / typical), float(ratio.mean())


def risks(
    values: np.ndarray,
    env: np.ndarray,
    names: list[str],
    generator: np.random.Generator,
    *,
    groups: np.ndarray | None = None,
    resamples: int = 500,
) -> Risks:
    """The mean risk of each environment, and whether they are equal.

    Args:
        values: (N,) risk of each row. env: (N,) numbers into `names`.
        groups: (N,) rows that belong together; an environment of a single group is resampled by rows.
    """
    environments, samples = [], []
    numbers, counts = np.unique(env, return_counts=True)
    for number in numbers[counts >= FEWEST_OF_ENVIRONMENT]:
        rows = env == number
        risk = values[rows]
        clusters = np.arange(len(risk)) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        clusters = clusters if clusters.max() > 0 else np.arange(len(risk))
        drawn = resample([_mean(risk)], clusters, resamples, generator)[0]
        low, high = percentiles(drawn, len(np.unique(clusters)))
        environments.append(EnvironmentRisk(names[number], float(risk.mean()), low, high, len(risk)))
        samples.append(risk)
    left_out = int((counts < FEWEST_OF_ENVIRONMENT).sum())
    if len(environments) < 2:
        return Risks(environments, None, None, None, left_out)
    means = [environment.risk for environment in environments]
    worst = max(environments, key=lambda environment: environment.risk).environment
    return Risks(environments, max(means) - min(means), _kruskal(samples), worst, left_out)


def _mean(values: np.ndarray) -> Weighted:
    return lambda weights: weights @ values / weights.sum(axis=1)


def _kruskal(samples: list[np.ndarray]) -> float:
    from scipy.stats import kruskal

    together = np.concatenate(samples)
    if all_tie(together, float(np.abs(together).max())):
        return 1.0
    return float(kruskal(*samples).pvalue)
