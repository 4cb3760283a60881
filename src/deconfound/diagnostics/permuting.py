"""Permutations under which the null hypothesis of a test holds, within bins of the label."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from deconfound.data.quantile_edges import quantile_edges

Unit = Literal["rows", "rows in groups", "groups"]
MOST_BINS = 10
ROWS_PER_CELL = 20
"""Rows of one environment that a bin of the label should hold on average."""


def label_bins(target: np.ndarray, classify: bool, environments: int) -> np.ndarray:
    """(N,) bin of each row: its class, or which of equally filled intervals a real label falls into.

    Args:
        target: (N,) labels or class numbers.
        environments: E; with more of them the intervals are fewer, so that each holds rows of all.
    """
    if classify:
        return np.unique(target, return_inverse=True)[1]
    bins = int(np.clip(len(target) // (ROWS_PER_CELL * max(1, environments)), 1, MOST_BINS))
    if len(target) == 0:
        return np.zeros(0, dtype=np.int64)
    edges = np.unique(quantile_edges(torch.from_numpy(target.astype(np.float64)), bins).numpy())
    return np.searchsorted(edges, target, side="right")


def residual(values: np.ndarray, bins: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    """(N, D) what a line in the label, by least squares within each bin, leaves over; without a target, a constant."""
    left = np.array(values, dtype=np.float64)
    for number in np.unique(bins):
        rows = bins == number
        left[rows] -= left[rows].mean(axis=0)
        if target is not None:
            y = target[rows] - target[rows].mean()
            spread = float(y @ y)
            if spread > 0:
                left[rows] -= np.outer(y, (y @ left[rows]) / spread)
    return left


def unit_of(env: np.ndarray, groups: np.ndarray | None) -> Unit:
    """The unit that is exchanged between environments under the null hypothesis.

    "groups": each group belongs to one environment, and each environment has several groups, such as videos.
    "rows in groups": groups have rows of several environments, which are exchanged inside the group.
    "rows": there are no groups, or each is an environment by itself.
    """
    if groups is None:
        return "rows"
    pairs = np.unique(np.stack([groups, env], axis=1), axis=0)
    if len(pairs) > len(np.unique(groups)):
        return "rows in groups"
    return "groups" if np.unique(pairs[:, 1], return_counts=True)[1].min() > 1 else "rows"


def shuffles(
    env: np.ndarray, bins: np.ndarray, groups: np.ndarray | None, count: int, generator: np.random.Generator
) -> np.ndarray:
    """(count + 1, N) environments: as they are first, then exchanged between the units that `unit_of` names.

    Rows are exchanged within bins of the label. Whole groups are not, since their rows have several labels: then only
    what was taken off by `residual` is at a fixed label.
    """
    unit = unit_of(env, groups)
    groups = np.zeros(len(env), dtype=np.int64) if groups is None else groups
    shuffled = np.empty((count + 1, len(env)), dtype=np.int64)
    shuffled[0] = env
    if unit == "groups":
        _, first, number = np.unique(groups, return_index=True, return_inverse=True)
        for draw in range(1, count + 1):
            shuffled[draw] = generator.permutation(env[first])[number]
        return shuffled
    if unit == "rows in groups":
        bins = np.unique(np.stack([bins, groups], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    for draw in range(1, count + 1):
        shuffled[draw] = env[permutation_within(bins, generator)]
    return shuffled


def permutation_within(bins: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(N,) a permutation of the row numbers that keeps each row in its bin."""
    shuffled, order = generator.permutation(len(bins)), np.empty(len(bins), dtype=np.int64)
    order[np.argsort(bins, kind="stable")] = shuffled[np.argsort(bins[shuffled], kind="stable")]
    return order


def p_value(values: np.ndarray) -> float:
    """One-sided p of the first value among all, itself included, so never 0 (Phipson and Smyth 2010).

    An undefined value counts against it, and 1 if the first is undefined.
    """
    return float(np.mean(~(values < values[0] - 1e-12 * max(1.0, abs(float(values[0]))))))
