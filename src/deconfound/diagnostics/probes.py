"""How well a part of a representation predicts the label or the environment, on rows that no probe was fitted on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deconfound.diagnostics.maps import kernel_map, linear_map
from deconfound.metrics.r2 import R2
from deconfound.scoring.weights import Weighted
from deconfound.statistics.interval import resample
from deconfound.statistics.ties import smallest_p

Kind = Literal["linear", "kernel"]
KINDS: tuple[Kind, ...] = ("linear", "kernel")
MOST_ROWS = 2000
"""Most rows that a probe uses, drawn by the seed."""
FEWEST_ROWS = 20
FOLDS = 5
"""Number of folds, and the fewest rows of a class; rarer classes are excluded."""
ALPHAS = tuple(np.logspace(-3, 3, 7))
LANDMARKS = 200
ALPHA = 0.05
"""1 − the level of intervals."""


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Out-of-fold answers of a cross-validated probe.

    Args:
        rows: (R,) numbers of the rows that were used.
        hits: R² probes: (R,) predictions. Classifiers: (R,) bool, right or not.
        truth: (R,) labels.
        clusters: (R,) rows of one cluster were held out and are resampled together.
        grouped: whether a cluster is more than a row.
        classify: whether the score is balanced accuracy, the mean over classes of the share right; else R².
    """

    rows: np.ndarray
    hits: np.ndarray
    truth: np.ndarray
    clusters: np.ndarray
    grouped: bool
    classify: bool

    @property
    def chance(self) -> float:
        """Score of a constant: 1 / classes, or 0 for R²."""
        return 1 / len(np.unique(self.truth)) if self.classify else 0.0

    @property
    def score(self) -> float:
        return float(self.metric(np.ones((1, len(self.rows))))[0])

    @property
    def metric(self) -> Weighted:
        """The score as a function of (R, N) row weights."""
        if self.classify:
            return balanced_accuracy(self.hits, self.truth)
        return R2().weighted(self.hits, self.truth)


def balanced_accuracy(hits: np.ndarray, truth: np.ndarray) -> Weighted:
    """(R, N) weights → (R,) mean over classes of the weighted share right; NaN where a class has no weight."""
    member = (truth[:, None] == np.unique(truth)[None, :]).astype(np.float64)

    def value(weights: np.ndarray) -> np.ndarray:
        size = weights @ member
        shares = np.divide(weights @ (member * hits[:, None]), size, out=np.full_like(size, np.nan), where=size > 0)
        return shares.mean(axis=1)

    return value


def usable(truth: np.ndarray, classify: bool, generator: np.random.Generator) -> tuple[np.ndarray, str]:
    """Rows for a probe and, where there are none, the reason.

    Rows of classes with fewer than `FOLDS` rows are left out, and rows beyond `MOST_ROWS`.
    """
    rows = np.arange(len(truth))
    if classify:
        names, counts = np.unique(truth, return_counts=True)
        rows = rows[np.isin(truth, names[counts >= FOLDS])]
    if len(rows) > MOST_ROWS:
        rows = np.sort(generator.permutation(rows)[:MOST_ROWS])
    kinds = len(np.unique(truth[rows]))
    if len(truth) < FEWEST_ROWS or len(rows) < FEWEST_ROWS:
        return rows[:0], f"too few rows ({len(rows)}; {FEWEST_ROWS} are needed)"
    if kinds < 2:
        return rows[:0], "there is one value only"
    return rows, ""


def fold_of(strata: np.ndarray, clusters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(N,) fold 0 … FOLDS − 1: clusters stay whole, and strata (each that of a first row) are spread evenly."""
    _, first, number = np.unique(clusters, return_index=True, return_inverse=True)
    shuffled = generator.permutation(len(first))
    order = shuffled[np.argsort(strata[first][shuffled], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[number]


def clusters_for(truth: np.ndarray, groups: np.ndarray | None, classify: bool) -> np.ndarray | None:
    """The groups, if they can be held out whole: every class must have rows of two groups or more. Else None."""
    if groups is None:
        return None
    if not classify:
        return groups if len(np.unique(groups)) >= 2 else None
    least = min(len(np.unique(groups[truth == name])) for name in np.unique(truth))
    return groups if least >= 2 else None


def cross_validate(
    x: np.ndarray, truth: np.ndarray, *, classify: bool, kind: Kind, groups: np.ndarray | None = None, seed: int = 0
) -> ProbeResult | str:
    """Out-of-fold answers of a ridge or logistic regression, on the columns or on Gaussian kernel features of them.

    Args:
        x: (N, D) a part. truth: (N,) class numbers, or real values.
        groups: (N,) rows that belong together, held out together where that is possible.
        seed: of folds, landmarks and the choice of rows.

    Returns:
        The result, or the reason why there is none.
    """
    generator = np.random.default_rng(seed)
    rows, reason = usable(truth, classify, generator)
    if reason:
        return reason
    x, y = x[rows], truth[rows]
    whole = clusters_for(y, None if groups is None else groups[rows], classify)
    clusters = np.arange(len(rows)) if whole is None else np.unique(whole, return_inverse=True)[1]
    fold = fold_of(y if classify else np.zeros(len(y)), clusters, generator)
    answers = np.empty(len(y), dtype=np.float64)
    for number in np.unique(fold):
        fit, held = fold != number, fold == number
        maps = linear_map(x[fit]) if kind == "linear" else kernel_map(x[fit], seed, LANDMARKS)
        answers[held] = _answer(maps(x[fit]), y[fit], maps(x[held]), classify, kind)
    hits = answers == y if classify else answers
    return ProbeResult(rows, hits, y, clusters, whole is not None, classify)


def interval(probe: ProbeResult, generator: np.random.Generator, resamples: int) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap over clusters of the rows that were scored; the probe is not fitted again."""
    drawn = resample([probe.metric], probe.clusters, resamples, generator)[0]
    if probe.classify:
        return share_interval(probe.hits, probe.truth, probe.clusters, drawn)
    return percentiles(drawn, len(np.unique(probe.clusters)))


def share_interval(
    hits: np.ndarray, truth: np.ndarray, clusters: np.ndarray, drawn: np.ndarray
) -> tuple[float | None, float | None]:
    """95 % interval of a balanced accuracy: percentiles or, where every row is right and no resample varies, exact.

    Then the share right of a class with n clusters is at least .025^(1/n), after Clopper and Pearson 1934, and the mean
    over classes is lowest if only the smallest class is below 1.

    Args:
        hits: (N,) bool, right or not. truth: (N,) classes. clusters: (N,) clusters that were resampled.
        drawn: (R,) balanced accuracy of the resamples.
    """
    count = len(np.unique(clusters))
    if not hits.all() or smallest_p(count) > ALPHA:
        return percentiles(drawn, count)
    classes = np.unique(truth)
    fewest = min(len(np.unique(clusters[truth == name])) for name in classes)
    return 1 - (1 - (ALPHA / 2) ** (1 / fewest)) / len(classes), 1.0


def percentiles(values: np.ndarray, clusters: int) -> tuple[float | None, float | None]:
    """Ends of the middle 95 % of the finite values.

    None where more than half are not finite, where they do not vary, and for fewer than 6 clusters: resamples cannot say
    more than equal signs of all clusters would, whose p-value is 2 / 2^G.

    Args:
        values: (R,) values under resamples of the clusters.
        clusters: G.
    """
    finite = values[np.isfinite(values)]
    if len(finite) <= len(values) // 2 or np.ptp(finite) == 0 or smallest_p(clusters) > ALPHA:
        return None, None
    low, high = np.quantile(finite, (ALPHA / 2, 1 - ALPHA / 2))
    return float(low), float(high)


def _answer(x: np.ndarray, y: np.ndarray, new: np.ndarray, classify: bool, kind: Kind) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if not classify:
        scale = float(y.std()) or 1.0
        return RidgeCV(alphas=ALPHAS).fit(x, (y - y.mean()) / scale).predict(new) * scale + y.mean()
    if len(np.unique(y)) < 2:
        return np.full(len(new), y[0])
    per_row = 1e-2 if kind == "linear" else 1e-3
    model = LogisticRegression(C=1 / (per_row * len(x)), class_weight="balanced", max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y).predict(new)
