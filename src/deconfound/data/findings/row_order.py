"""Rows in the order of their labels, which a split by position turns into a shift."""

from __future__ import annotations

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.quantile_edges import quantile_edges

_FEWEST = 20
_SHARE = 0.5  # of the runs that a random order has
_BINS = 4


def find(dataset: Dataset) -> list[str]:
    """One line where rows of train or of other splits are sorted by their labels, or come in blocks of equal ones."""
    named = []
    for split, rows in dataset.splits.items():
        codes = _codes(dataset, rows)
        count, expected = runs(codes), expected_runs(codes)
        distinct = len(np.unique(codes))
        if len(codes) >= _FEWEST and distinct > 1 and (count == distinct or count < _SHARE * expected):
            named.append(
                f"{split} ({count} runs of equal labels in {len(codes)} rows, a random order has {expected:.0f})"
            )
    if not named:
        return []
    what = "quarters of the label" if dataset.task.kind == "regression" else "classes"
    blocks = " The splits are consecutive blocks of the table." if dataset.provenance.get("split_blocks") else ""
    return [
        f"the rows are in the order of their {what}: {', '.join(named)}.{blocks} A split by position then holds other "
        "labels than train; split at random (shares and a seed), or by a group that explains the order"
    ]


def split_blocks(split: list[str]) -> bool:
    """Whether the rows of each split follow each other in the table.

    Args:
        split: (N) names, in the order of the table.
    """
    return runs(np.unique(np.array(split, dtype=object), return_inverse=True)[1]) == len(set(split))


def runs(codes: np.ndarray) -> int:
    """Number of longest stretches of equal codes in (N,), N ≥ 1."""
    return 1 + int((codes[1:] != codes[:-1]).sum())


def expected_runs(codes: np.ndarray) -> float:
    """Mean number of runs over all orders: 1 + N − Σ n² / N, with n the rows of a code (Wald and Wolfowitz, 1940)."""
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    return 1 + len(codes) - float((counts**2).sum()) / len(codes)


def _codes(dataset: Dataset, rows: range) -> np.ndarray:
    """(R,) classes, or quarters of the label."""
    target = dataset.target[rows.start : rows.stop]
    if dataset.task.kind == "classification":
        return target.numpy()
    return np.searchsorted(quantile_edges(target.double(), _BINS).numpy(), target.double().numpy())
