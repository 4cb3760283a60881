"""Which rows belong together, and which fold each of them is left out in: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deconfound.datasets.stratified import shares_split


def joined_groups(columns: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Number of the set of rows that each row must stay with, where rows that share a value of any column stay together.

    Args:
        columns: (N,) int64 codes each, from 0; without columns each row is a set of its own.
        rows: N.

    Returns:
        (N,) int64, numbered in the order of the rows.
    """
    if not columns:
        return np.arange(rows)
    if len(columns) == 1:
        numbers = columns[0]
    else:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        starts = np.cumsum([rows, *(int(codes.max()) + 1 for codes in columns)])
        nodes = np.concatenate([codes + start for codes, start in zip(columns, starts[:-1], strict=True)])
        ends = np.tile(np.arange(rows), len(columns)), nodes
        numbers = connected_components(coo_array((np.ones(len(nodes)), ends), shape=(starts[-1],) * 2))[1][:rows]
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def drawn_parts(units: np.ndarray, strata: Sequence[str] | None, shares: Mapping[str, float], seed: int) -> list[str]:
    """(N) part of each row, by `shares_split`.

    Args:
        units: (N,) rows of one number stay together.
        strata: (N) classes that each part gets its share of.

    Raises:
        DataError: fewer units than parts.
    """
    names = [f"{number:012d}" for number in units.tolist()]  # sorted as numbers are, whatever the rows before
    return shares_split(names, strata, shares, seed)


def k_fold(units: np.ndarray, strata: Sequence[str] | None, folds: int, seed: int) -> list[str]:
    """(N) "fold 1" to "fold K", the fold whose test a row is in, of about equally many rows.

    These are not scikit-learn's splitters: a fold is drawn anew whenever a run is opened, so the draw may not change with
    the version of a package.

    Raises:
        DataError: fewer units than folds.
    """
    return drawn_parts(units, strata, {f"fold {number}": 1 / folds for number in range(1, folds + 1)}, seed)
