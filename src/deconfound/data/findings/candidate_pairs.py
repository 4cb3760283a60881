"""Pairs of rows that may be alike, in time that grows with the rows and not with their pairs."""

from __future__ import annotations

import numpy as np

REACH = 4
"""Following rows of its bucket that each row is compared with."""


def candidate_pairs(keys: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Pairs of rows with an equal key in some table, at most N × K × `REACH` of them.

    Args:
        keys: (N, K) int64 bucket of each row in each of K tables.
        order: (N, K) float order within a bucket, in which rows that are alike are close.

    Returns:
        (P, 2) int64 rows, the lower number first, each pair once.
    """
    count, codes = len(keys), [np.empty(0, dtype=np.int64)]
    for table in range(keys.shape[1]):
        rows = np.lexsort((order[:, table], keys[:, table]))
        sorted_keys = keys[rows, table]
        for step in range(1, min(REACH, len(rows) - 1) + 1):
            same = sorted_keys[step:] == sorted_keys[:-step]
            first, second = rows[:-step][same], rows[step:][same]
            codes.append(np.minimum(first, second) * count + np.maximum(first, second))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), max(count, 1)), axis=1)
