"""Rows of two splits, or of train, that are nearly equal: what findings of vectors and of texts say of their pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.findings.wording import named_rows


def near_lines(dataset: Dataset, pairs: np.ndarray, what: str) -> list[str]:
    """One line per pair of splits with rows that are alike, and one for train.

    Args:
        pairs: (P, 2) row numbers.
        what: begins the lines and says what is alike.
    """
    lines = []
    split = np.full(len(dataset), -1)
    for number, rows in enumerate(dataset.splits.values()):
        split[rows.start : rows.stop] = number
    names = list(dataset.splits)
    ends = split[pairs]
    for first, second in combinations(range(len(names)), 2):
        crossing = pairs[(np.sort(ends, axis=1) == [first, second]).all(axis=1)]
        later = sorted({int(row) for row in crossing.flatten() if split[row] == second})
        if later:
            lines.append(
                f"{what}: {len(later)} of {len(dataset.splits[names[second]])} rows of {names[second]} nearly equal rows of "
                f"{names[first]} ({named_rows(dataset, later)}): they hardly test anything new; keep what is alike in one "
                "split, by a column that groups it"
            )
    return lines + (
        _in_train(dataset, pairs[(ends == names.index("train")).all(axis=1)], what) if "train" in names else []
    )


def _in_train(dataset: Dataset, pairs: np.ndarray, what: str) -> list[str]:
    later = sorted({int(row) for row in pairs[:, 1]})
    if not later:
        return []
    return [
        f"{what}: {len(later)} of {len(dataset.splits['train'])} rows of train nearly equal earlier ones "
        f"({named_rows(dataset, later)}): they count several times, and a random split would put them in two splits; keep "
        "one of each, or group them"
    ]
