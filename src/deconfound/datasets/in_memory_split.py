"""Splits of rows in memory: names of a column, or shares of rows or of whole groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deconfound.datasets.frames import Column, is_absent
from deconfound.datasets.in_memory_target import Labels
from deconfound.datasets.stratified import shares_split, strata_of
from deconfound.datasets.validation_share import validation_rows
from deconfound.errors import DataError

SHARES: Mapping[str, float] = {"train": 0.6, "valid": 0.2, "test": 0.2}
"""Split → share of the rows, where neither a column nor other shares are named."""


def shares_of(split: object) -> dict[str, float] | None:
    """The shares of a random split, or None where a column says the split of each row.

    Raises:
        DataError: shares that are not numbers.
    """
    if split is None:
        return dict(SHARES)
    if not isinstance(split, Mapping):
        return None
    if not all(isinstance(share, int | float) for share in split.values()):
        raise DataError(f"the shares of a split are numbers that sum to 1; got {dict(split)}")
    return {str(name): float(share) for name, share in split.items()}


def split_names(values: Column, ids: Sequence[str]) -> list[str]:
    """(N) names of splits; every row needs one.

    Raises:
        DataError: a row without one.
    """
    row = next((row for row, value in enumerate(values) if is_absent(value)), None)
    if row is not None:
        raise DataError(f"the row {ids[row]!r} has no split; name 'train', 'valid' or a test split in every row")
    return [str(value) for value in values]


def random_split(
    groups: Sequence[str], labels: Labels, kept: np.ndarray, shares: Mapping[str, float], seed: int, *, stratify: bool
) -> list[str]:
    """(N) names of splits, drawn for the kept rows; "" for the others.

    Args:
        groups: (N) group of each row; the rows of a group stay together.
        kept: (R,) rows that have a label.
        stratify: give each class, or each quarter of a number, its share in all splits.

    Raises:
        DataError: as `grouped_split`.
    """
    whole = [groups[int(row)] for row in kept.tolist()]
    drawn = shares_split(whole, _strata(labels, kept) if stratify else None, shares, seed)
    by_row = [""] * len(groups)
    for row, name in zip(kept.tolist(), drawn, strict=True):
        by_row[row] = name
    return by_row


def validation_split(
    split: Sequence[str],
    groups: Sequence[str],
    labels: Labels,
    kept: np.ndarray,
    share: float,
    seed: int,
    *,
    stratify: bool,
) -> list[str]:
    """(N) names of splits with a share of "train" as "valid"; "" for rows that are not kept.

    Args:
        split: (N) names of a column.
        groups, labels, kept, stratify: as for `random_split`.

    Raises:
        DataError: as `validation_rows`.
    """
    units = np.unique(np.array([groups[row] for row in kept.tolist()], dtype=object), return_inverse=True)[1]
    strata = _strata(labels, kept) if stratify else None
    taken = validation_rows([split[int(row)] for row in kept.tolist()], units, strata, share, seed)
    by_row = [""] * len(split)
    for row, name in zip(kept.tolist(), taken, strict=True):
        by_row[row] = name
    return by_row


def _strata(labels: Labels, kept: np.ndarray) -> list[str]:
    target = labels.target.numpy()[kept]
    return strata_of(target if labels.task.kind == "regression" else [str(code) for code in target.tolist()])
