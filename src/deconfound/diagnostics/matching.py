"""Whether single dimensions stand for single factors: MCC, and disentanglement, completeness and informativeness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deconfound.diagnostics.maps import linear_map

TREES = 30
MOST_ROWS = 1500
FEWEST_ROWS = 20


@dataclass(frozen=True)
class MatchingScore:
    """Mean correlation coefficient of the best matching of dimensions and factors.

    Args:
        mcc: mean |correlation| over the matched pairs, in [0, 1].
        chance: the same with the factors' rows shuffled, mean over shuffles: what matching alone finds.
        pairs: (dimension, factor) numbers.
        rows: used.
    """

    mcc: float
    chance: float
    pairs: list[tuple[int, int]]
    rows: int


@dataclass(frozen=True)
class Dci:
    """Disentanglement, completeness, informativeness (Eastwood and Williams, ICLR 2018), from forests of trees.

    Args:
        disentanglement: in [0, 1]; 1 if each dimension matters for one factor only; weighted by importance.
        completeness: in [0, 1]; 1 if each factor is told by one dimension only.
        informativeness: R² of the factors on held-out rows, mean over factors.
        rows: used, half of them held out.
    """

    disentanglement: float | None
    completeness: float | None
    informativeness: float
    rows: int


def match_dimensions(
    code: np.ndarray, factors: np.ndarray, *, seed: int = 0, shuffles: int = 20
) -> MatchingScore | None:
    """MCC of (N, D) dimensions and (N, d) factors: the min(D, d) pairs that the Hungarian method finds.

    No row is held out, so the mean is above 0 for independent noise: `chance` says how far.

    Returns:
        None for fewer than 20 rows, or if all of either are constant.

    Source: Hyvärinen and Morioka, NeurIPS 2016.
    """
    if len(code) < FEWEST_ROWS:
        return None
    strength = correlations(code, factors)
    if not strength.any():
        return None
    generator = np.random.default_rng(seed)
    mean, pairs = _best(strength)
    noise = [_best(correlations(code, factors[generator.permutation(len(code))]))[0] for _ in range(shuffles)]
    return MatchingScore(mean, float(np.mean(noise)), pairs, len(code))


def correlations(code: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """(D, d) absolute Pearson correlations, 0 for a constant column."""
    return np.abs(linear_map(code)(code).T @ linear_map(factors)(factors)) / len(code)


def _best(strength: np.ndarray) -> tuple[float, list[tuple[int, int]]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-strength)
    return float(strength[rows, columns].mean()), list(zip(rows.tolist(), columns.tolist(), strict=True))


def dci(code: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> Dci | None:
    """DCI of (N, D) dimensions about (N, d) factors: one random forest per factor, fitted on a random half of the rows.

    Returns:
        None for fewer than 20 rows.
    """
    from sklearn.ensemble import RandomForestRegressor

    if len(code) < FEWEST_ROWS:
        return None
    order = np.random.default_rng(seed).permutation(len(code))[:MOST_ROWS]
    fit, held = order[: len(order) // 2], order[len(order) // 2 :]
    importance, scores = np.zeros((code.shape[1], factors.shape[1])), []
    for number, factor in enumerate(linear_map(factors)(factors).T):
        forest = RandomForestRegressor(TREES, min_samples_leaf=3, random_state=seed, n_jobs=1)
        forest.fit(code[fit], factor[fit])
        importance[:, number] = forest.feature_importances_
        spread = np.square(factor[held] - factor[held].mean()).sum()
        error = np.square(factor[held] - forest.predict(code[held])).sum()
        scores.append(1 - float(error / spread) if spread > 0 else 0.0)
    return Dci(*disentanglement_and_completeness(importance), float(np.mean(scores)), len(order))


def disentanglement_and_completeness(importance: np.ndarray) -> tuple[float | None, float | None]:
    """(D, d) importance of dimensions for factors → disentanglement and completeness; None where a side has one member.

    Disentanglement: 1 − entropy of a dimension's shares over factors, base d, weighted by the dimension's importance.
    Completeness: 1 − entropy of a factor's shares over dimensions, base D, weighted likewise.
    """
    total = importance.sum()
    if total <= 0:
        return None, None
    by_dimension, by_factor = importance.sum(axis=1), importance.sum(axis=0)
    sides = []
    for table, weight in ((importance, by_dimension / total), (importance.T, by_factor / total)):
        sizes = table.sum(axis=1)
        shares = np.divide(table, sizes[:, None], out=np.zeros_like(table), where=sizes[:, None] > 0)
        logs = np.log(np.where(shares > 0, shares, 1))
        many = table.shape[1]
        sides.append(float(weight @ (1 + (shares * logs).sum(axis=1) / np.log(many))) if many > 1 else None)
    return sides[0], sides[1]
