"""How strongly attributes are tied to the label in some rows, kept up to date while rows come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

SHRINKAGE = 5.0
"""Rows without a tie that each attribute counts as beside its own, so that a rare word is not the most telling one."""


def label_columns(target: np.ndarray, classes: int) -> np.ndarray:
    """(N, C) what rows have of each class, less its mean; of a regression (N, 1) standardised targets.

    Args:
        classes: C, 0 for a regression.
        target: (N,), or (N, L) of 0 and 1 for several labels a row.
    """
    if target.ndim == 2:
        return target - target.mean(0)
    if classes == 0:
        values = (target - target.mean()) / max(float(target.std()), 1e-12)
        return values[:, None]
    onehot = np.eye(classes)[target.astype(int)]
    return onehot - onehot.mean(0)


@dataclass(frozen=True, eq=False)
class Ties:
    """What some rows add to an association.

    Args:
        attributes: (A,) positions of the attributes that they hold.
        counts: (A,) rows that hold each.
        sums: (A, C) labels of these rows, added up.
        total: (C,) labels of all rows, added up.
        size: how many rows they are.
        bins: (classes,) rows of each class.
    """

    attributes: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    total: np.ndarray
    size: int
    bins: np.ndarray

    @classmethod
    def of(cls, held: sparse.csr_array, labels: np.ndarray, bins: np.ndarray, rows: np.ndarray, classes: int) -> Ties:
        """The ties of some rows, given those of all: (N, V) attributes, (N, C) labels and (N,) classes."""
        part = held[rows]
        attributes = np.unique(part.indices)
        here = part[:, attributes]
        counts, sums = np.asarray(here.sum(0), dtype=float).ravel(), np.asarray(here.T @ labels[rows])
        return cls(attributes, counts, sums, labels[rows].sum(0), len(rows), np.bincount(bins[rows], minlength=classes))


class Association:
    """The mean label of the rows with an attribute, V × C, less that of all, shrunk towards 0 where they are few.

    Args:
        attributes: V.
        ties: of the rows at first.
    """

    def __init__(self, attributes: int, ties: Ties) -> None:
        self.counts, self.sums = np.zeros(attributes), np.zeros((attributes, len(ties.total)))
        self.total, self.size, self.bins = np.zeros(len(ties.total)), 0, np.zeros(len(ties.bins), dtype=int)
        self.move(ties, 1)

    def move(self, ties: Ties, sign: int) -> None:
        """Add (sign 1) or take away (sign −1) rows."""
        self.counts[ties.attributes] += sign * ties.counts
        self.sums[ties.attributes] += sign * ties.sums
        self.total, self.bins = self.total + sign * ties.total, self.bins + sign * ties.bins
        self.size += sign * ties.size

    def strengths(self) -> np.ndarray:
        """(V, C)."""
        mean = self.total / max(1, self.size)
        return (self.sums - self.counts[:, None] * mean) / (self.counts[:, None] + SHRINKAGE)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two associations over attributes and classes; 0 where one of them is constant."""
    a, b = first.ravel() - first.mean(), second.ravel() - second.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
