"""Whether a part tells the environment beyond what the label tells: a classifier against its own permutations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deconfound.diagnostics.maps import kernel_map, linear_map
from deconfound.diagnostics.permuting import p_value, residual, shuffles, unit_of
from deconfound.diagnostics.probes import LANDMARKS, Kind, balanced_accuracy, fold_of, share_interval, usable
from deconfound.statistics.interval import resample

PENALTY: dict[Kind, float] = {"linear": 1e-2, "kernel": 1e-3}
"""Ridge per training row."""


@dataclass(frozen=True)
class Leakage:
    """Environment from a part, at a fixed label.

    Args:
        score: balanced accuracy on rows held out.
        low, high: 95 % bootstrap interval over rows or groups.
        chance: 1 / environments.
        p: of the score if environments were exchanged at a fixed label.
        rows, environments, bins: used; classes of the label, or intervals of a real one.
        unit: what was exchanged, see `permuting.unit_of`.
    """

    score: float
    low: float | None
    high: float | None
    chance: float
    p: float
    rows: int
    environments: int
    bins: int
    unit: str


def measure_leakage(
    x: np.ndarray,
    env: np.ndarray,
    bins: np.ndarray,
    target: np.ndarray | None,
    *,
    kind: Kind,
    groups: np.ndarray | None = None,
    permutations: int = 199,
    resamples: int = 500,
    seed: int = 0,
) -> Leakage | str:
    """Predict the environment from what the label does not explain of a part.

    The features are residuals of a line in the label within each bin. The classifier is a least squares one, whose
    solution for all permutations is one matrix product; folds are drawn without a look at the environments, so under
    the null the first score is one of equals.

    Args:
        x: (N, D) a part. env: (N,) environment numbers.
        bins: (N,) of the label, see `permuting.label_bins`.
        target: (N,) real labels, None for classes.
        groups: (N,) rows that belong together.

    Returns:
        The result, or the reason why there is none.
    """
    generator = np.random.default_rng(seed)
    rows, reason = usable(env, True, generator)
    if reason:
        return reason
    x, bins, whole = x[rows], bins[rows], None if groups is None else groups[rows]
    names, env = np.unique(env[rows], return_inverse=True)
    unit = unit_of(env, whole)
    draws = shuffles(env, bins, whole, permutations, generator)
    clusters = np.arange(len(env)) if whole is None or unit == "rows" else np.unique(whole, return_inverse=True)[1]
    fold = fold_of(bins if unit == "rows" else np.zeros(len(env)), clusters, generator)
    maps = linear_map(x) if kind == "linear" else kernel_map(x, seed, LANDMARKS)
    features = residual(maps(x), bins, None if target is None else target[rows])
    hits = held_out_hits(features, draws, fold, len(names), PENALTY[kind])
    scores = np.array([_balanced(hit, drawn) for hit, drawn in zip(hits, draws, strict=True)])
    drawn = resample([balanced_accuracy(hits[0], env)], clusters, resamples, generator)[0]
    low, high = share_interval(hits[0], env, clusters, drawn)
    sizes = len(rows), len(names), len(np.unique(bins))
    return Leakage(float(scores[0]), low, high, 1 / len(names), p_value(scores), *sizes, unit)


def held_out_hits(
    features: np.ndarray, draws: np.ndarray, fold: np.ndarray, classes: int, penalty: float
) -> np.ndarray:
    """(P, N) bool: whether a least squares classifier, fitted on the other folds, names the class of each row.

    The answer is the class whose probability, as the regression gives it, is the largest share of its frequency, so
    rare classes count as much as frequent ones.

    Args:
        features: (N, D). draws: (P, N) class numbers below `classes`, fitted and judged each by itself.
        penalty: of ridge, per row that is fitted.
    """
    hits = np.zeros(draws.shape, dtype=bool)
    member = draws.T[:, :, None] == np.arange(classes)  # (N, P, C)
    for number in np.unique(fold):
        fit, held = fold != number, fold == number
        mean = features[fit].mean(axis=0)
        x = features[fit] - mean
        size = member[fit].sum(axis=0)  # (P, C)
        share = member[fit] / np.maximum(1, size) * fit.sum() - 1.0
        gram = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ share.reshape(len(x), -1))
        score = ((features[held] - mean) @ weights).reshape(-1, *size.shape)
        score[:, size == 0] = -np.inf
        hits[:, held] = (score.argmax(axis=2) == draws.T[held]).T
    return hits


def _balanced(hits: np.ndarray, truth: np.ndarray) -> float:
    return float(balanced_accuracy(hits, truth)(np.ones((1, len(truth))))[0])
