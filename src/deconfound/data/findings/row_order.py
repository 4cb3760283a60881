"""Rows in the order of their labels, which a split by position turns into a shift."""

from __future__ import annotations

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.quantile_edges import quantile_edges

_SHARE = 0.5  # of the runs that a random order has
_LEAST_Z = 4.0  # standard deviations of these, so that chance alone gives no line
_BINS = 4

BLOCKS = "split_blocks"
"""Key of the provenance: whether the splits are consecutive blocks of the table, where that is known."""

_REMEDY = {
    True: "the splits are consecutive blocks of the table, so that they hold other labels: split at random (shares and a "
    "seed), or by a group that explains the order",
    False: "the splits are no blocks of the table, so that this one does no harm: do not split it by position",
    None: "a split by position would hold other labels than train: split at random (shares and a seed), or by a group that "
    "explains the order",
}


def find(dataset: Dataset) -> list[str]:
    """One line where rows of train or of other splits are sorted by their labels, or come in blocks of equal ones."""
    named = []
    for split, rows in dataset.splits.items():
        codes = _codes(dataset, rows)
        count, (expected, sd) = runs(codes), expected_runs(codes)
        if count < min(_SHARE * expected, expected - _LEAST_Z * sd):
            named.append(
                f"{split} ({count} runs of equal labels in {len(codes)} rows, a random order has {expected:.0f})"
            )
    if not named:
        return []
    what = "quarters of the label" if dataset.task.kind == "regression" else "classes"
    return [f"the rows are in the order of their {what}: {', '.join(named)}; {_REMEDY[dataset.provenance.get(BLOCKS)]}"]


def split_blocks(split: list[str]) -> bool:
    """Whether the rows of each split follow each other in the table.

    Args:
        split: (N) names, in the order of the table.
    """
    return runs(np.unique(np.array(split, dtype=object), return_inverse=True)[1]) == len(set(split))


def runs(codes: np.ndarray) -> int:
    """Number of longest stretches of equal codes in (N,), N ≥ 1."""
    return 1 + int((codes[1:] != codes[:-1]).sum())


def expected_runs(codes: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the number of runs over all orders of (N,) codes.

    With n the rows of a code: mean 1 + N − Σ n² / N and variance
    (Σ n² (Σ n² + N (N + 1)) − 2 N Σ n³ − N³) / (N² (N − 1)).

    Source: Mood, The distribution theory of runs, 1940.
    """
    rows = float(len(codes))
    if rows < 2:
        return rows, 0.0
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    squares, cubes = float((counts**2).sum()), float((counts**3).sum())
    variance = squares * (squares + rows * (rows + 1)) - 2 * rows * cubes - rows**3
    return 1 + rows - squares / rows, max(0.0, variance / (rows**2 * (rows - 1))) ** 0.5


def _codes(dataset: Dataset, rows: range) -> np.ndarray:
    """(R,) classes, or quarters of the label."""
    target = dataset.target[rows.start : rows.stop]
    if dataset.task.kind == "classification":
        return target.numpy()
    return np.searchsorted(quantile_edges(target.double(), _BINS).numpy(), target.double().numpy())
