"""Splits of rows in memory: names of a column, or shares of rows or of whole groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deconfound.datasets.frames import Column, is_absent
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.in_memory_target import Labels
from deconfound.datasets.stratified import strata_of, stratified_split
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
    if stratify:
        target = labels.target.numpy()[kept]
        regression = labels.task.kind == "regression"
        strata = strata_of(target if regression else [str(label) for label in target.tolist()])
        drawn = stratified_split(whole, strata, shares, seed)
    else:
        drawn = grouped_split(whole, shares, seed)
    by_row = [""] * len(groups)
    for row, name in zip(kept.tolist(), drawn, strict=True):
        by_row[row] = name
    return by_row
