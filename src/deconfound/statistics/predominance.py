"""Which modality carries the prediction, measured on held-out rows with intervals.

Everything is computed from row scores: 1 for a right class and 0 for a wrong one, or minus the absolute error of a regression,
so that a mean of them is the accuracy or −MAE. Three views:

- each modality by itself, and whether the best is better than the others by more than chance (`verdict`);
- who is right where two modalities disagree (`conflicts`);
- what each adds to any subset of the others, averaged over all orders: its Shapley value (`shapley`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import factorial
from typing import Literal

import numpy as np

from deconfound.errors import DataError
from deconfound.scoring.weights import Weighted, weighted_mean
from deconfound.statistics.interval import Estimate, estimate, resample
from deconfound.statistics.ties import differing, smallest_p

Kind = Literal["regression", "classification"]
Subset = frozenset[str]
BALANCED = "balanced"
ALPHA = 0.05
"""1 − the level of intervals."""
APART = 0.5
"""Two predictions of a regression disagree if they differ by more than this many standard deviations of the labels."""


@dataclass(frozen=True)
class Standing:
    """One modality.

    Args:
        score: mean row score.
        low, high: 95 % interval of the score over rows, None for a single row or cluster and where all rows score alike.
        gap: score of the best modality minus this one, 0 for the best.
        gap_low, gap_high: paired 95 % interval of the gap; None where all rows have one gap, and where two modalities
            differ in fewer than 6 rows or clusters: these may all be on one side by chance (p = 2 / 2⁵).
        gap_p: two-sided p-value of a gap of 0, 1 for the best; None for a single row or cluster.
    """

    modality: str
    score: float
    low: float | None
    high: float | None
    gap: float
    gap_low: float | None
    gap_high: float | None
    gap_p: float | None


@dataclass(frozen=True)
class Predominance:
    """Which modality predominates.

    Args:
        standings: the modalities, best first.
        leaders: the best modality, and those whose gap to it is not significantly above 0.
    """

    standings: tuple[Standing, ...]
    leaders: tuple[str, ...]

    @property
    def predominant(self) -> str:
        """The modality that leads alone, or "balanced"."""
        return self.leaders[0] if len(self.leaders) == 1 else BALANCED


@dataclass(frozen=True)
class Conflict:
    """Two modalities where they disagree.

    Args:
        rows: number of rows in which the two disagree.
        share: their share of all rows.
        wins, losses: rows in which `first`, `second` is right (for a regression: nearer to the label).
        neither: rows in which both are wrong (for a regression: equally far from the label).
    """

    first: str
    second: str
    rows: int
    share: float
    wins: int
    losses: int
    neither: int

    @property
    def win_rate(self) -> float | None:
        """Share of the disagreements in which `first` is right; None without one."""
        return self.wins / self.rows if self.rows else None


def row_scores(output: np.ndarray, target: np.ndarray, kind: Kind) -> np.ndarray:
    """(N, outputs) predictions or logits and (N,) labels → (N,) float64, larger is better.

    Raises:
        DataError: shapes that do not fit.
    """
    if output.ndim != 2 or len(output) != len(target) or (kind == "regression" and output.shape[1] != 1):
        raise DataError(f"row scores need (N, outputs) and (N,); got {output.shape} and {target.shape}")
    if kind == "classification":
        return (output.argmax(axis=1) == target).astype(np.float64)
    return -np.abs(output[:, 0].astype(np.float64) - target)


def verdict(
    scores: Mapping[str, np.ndarray], clusters: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> Predominance:
    """Compare the modalities on the same rows.

    Args:
        scores: modality → (N,) row scores.
        clusters: (N,) cluster numbers, for rows that belong together (a speaker); None draws rows singly.
        resamples: number of resamples of the rows.
        seed: seed of the resamples.

    Raises:
        DataError: no modality, or no row.
    """
    if not scores or min(map(len, scores.values())) == 0:
        raise DataError("a comparison of modalities needs one or more modalities and rows; got none")
    means = {name: float(values.mean()) for name, values in scores.items()}
    order = sorted(means, key=lambda name: -means[name])
    best = order[0]
    gaps = [scores[best] - scores[name] for name in order]
    estimates = _estimates([*(scores[name] for name in order), *gaps], clusters, resamples, seed)
    standings = tuple(
        _standing(name, scores[name], estimates[i], gaps[i], estimates[len(order) + i], clusters)
        for i, name in enumerate(order)
    )
    leaders = tuple(s.modality for s in standings if s.gap == 0 or s.gap_p is None or s.gap_p > ALPHA)
    return Predominance(standings, leaders)


def _standing(
    name: str, scores: np.ndarray, score: Estimate, gaps: np.ndarray, gap: Estimate, clusters: np.ndarray | None
) -> Standing:
    ends = (None, None) if np.ptp(scores) == 0 else (score.low, score.high)
    sums = gaps if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], weights=gaps)
    size = float(np.abs(gaps).max())
    least_p = smallest_p(int(np.count_nonzero(differing(sums, size))))
    if gap.p is None:
        return Standing(name, float(scores.mean()), *ends, gap.mean, None, None, None)
    known = gap.mean == 0 or least_p <= ALPHA
    gap_ends = (gap.low, gap.high) if known else (None, None)
    return Standing(name, float(scores.mean()), *ends, gap.mean, *gap_ends, max(gap.p, least_p))


def mean_intervals(
    values: Sequence[np.ndarray], clusters: np.ndarray | None = None, *, resamples: int = 1000, seed: int = 0
) -> list[tuple[float | None, float | None]]:
    """95 % intervals of the means of several (N,) values of the same rows, all under the same resamples.

    Args:
        values: arrays of (N,), one per mean.
        clusters: (N,) cluster numbers of rows that are drawn together; None draws rows singly.
        resamples: number of resamples of the rows.
        seed: seed of the resamples.

    Returns:
        Both ends of each interval, None for a single row or cluster, and where all rows have one value that is not 0.
    """
    return [(mean.low, mean.high) for mean in _estimates(values, clusters, resamples, seed)]


def _estimates(values: Sequence[np.ndarray], clusters: np.ndarray | None, resamples: int, seed: int) -> list[Estimate]:
    together = np.arange(len(values[0])) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    means: list[Weighted] = [weighted_mean(row_values) for row_values in values]
    drawn = resample(means, together, resamples, np.random.default_rng(seed))
    count = int(together.max()) + 1
    return [
        estimate(np.array([row_values.mean()]), resampled[None], count)
        for row_values, resampled in zip(values, drawn, strict=True)
    ]


def conflicts(outputs: Mapping[str, np.ndarray], target: np.ndarray, kind: Kind) -> list[Conflict]:
    """Every ordered pair of modalities where their predictions disagree.

    Two classifications disagree if the classes differ, two predictions of a regression if they differ by more than half a
    standard deviation of the labels.

    Args:
        outputs: modality → (N, outputs), predicted from that modality alone.
        target: (N,) labels.
        kind: kind of the task.
    """
    scores = {name: row_scores(output, target, kind) for name, output in outputs.items()}
    disagreements = []
    for first, second in permutations(outputs, 2):
        a, b = outputs[first], outputs[second]
        if kind == "classification":
            differ = a.argmax(axis=1) != b.argmax(axis=1)
        else:
            differ = np.abs(a[:, 0] - b[:, 0]) > APART * target.std(dtype=np.float64)
        gap = (scores[first] - scores[second])[differ]
        wins, losses = int((gap > 0).sum()), int((gap < 0).sum())
        neither = len(gap) - wins - losses
        disagreements.append(Conflict(first, second, len(gap), float(differ.mean()), wins, losses, neither))
    return disagreements


def subsets(names: Sequence[str]) -> list[Subset]:
    """All 2^M subsets, the empty one first, by size."""
    return [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]


def shapley(scores: Mapping[Subset, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """What each modality adds, row by row.

        φ_m = Σ_{S ∌ m} |S|! (M − |S| − 1)! / M! · (v(S ∪ m) − v(S))

    Args:
        scores: every subset of the names → (N,) row scores v with only these modalities present.
        names: the M modalities.

    Returns:
        modality → (N,) values; their sum over the modalities is v(all) − v(none) in every row.

    Raises:
        DataError: a subset is missing.
    """
    missing = [subset for subset in subsets(names) if subset not in scores]
    if missing:
        raise DataError(f"a Shapley value needs all {2 ** len(names)} subsets; {sorted(missing[0])} is missing")
    count = len(names)
    values = {}
    for name in names:
        total = np.zeros(len(scores[frozenset()]))
        for subset in subsets([other for other in names if other != name]):
            weight = factorial(len(subset)) * factorial(count - len(subset) - 1) / factorial(count)
            total = total + weight * (scores[subset | {name}] - scores[subset])
        values[name] = total
    return values


def by_group(values: Mapping[str, np.ndarray], group: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Group → modality → mean of (N,) values over the rows of the group; groups without a row are left out.

    Args:
        values: modality → (N,) values.
        group: (N,) group number of each row.
        labels: names of the groups.
    """
    return {
        label: {name: float(row_values[group == number].mean()) for name, row_values in values.items()}
        for number, label in enumerate(labels)
        if (group == number).any()
    }


def linear_outputs(
    features: np.ndarray, target: np.ndarray, others: np.ndarray, kind: Kind, classes: int, penalty: float = 1e-2
) -> np.ndarray:
    """Predict other rows by ridge regression on standardised features; classes are regressed as indicators.

    Args:
        features: (N, D) features of the rows that the regression is fitted on.
        target: (N,) labels of these rows.
        others: (R, D) features of the rows to predict.
        kind: kind of the task.
        classes: C, 1 for a regression.
        penalty: ridge penalty per row, in units of the standardised features.

    Returns:
        (R, C) class scores, or (R, 1) predictions.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-12 * np.maximum(1, np.abs(mean)), spread, 1)
    x, new = (features - mean) / scale, (others - mean) / scale
    indicators = np.eye(classes)[target.astype(np.int64)] if kind == "classification" else target[:, None]
    response = indicators.astype(np.float64)
    gram = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
    intercept = response.mean(axis=0)
    return new @ np.linalg.solve(gram, x.T @ (response - intercept)) + intercept
