"""Faults of a dataset that are relations between its parts. One module per kind; each has a function `find`.

A finding is one line: numbers, the rows concerned and the remedy. Rows of tests are counted and compared, and labels of
tests are counted; nothing is tuned on them.
"""

from __future__ import annotations

from collections.abc import Callable

from deconfound.data.dataset import Dataset
from deconfound.data.findings import (
    absence,
    absent_classes,
    constant_features,
    equal_rows,
    far_values,
    group_sizes,
    imbalance,
    joined_classes,
    label_range,
    missing_split,
    near_texts,
    near_vectors,
    negative_class,
    outside_train,
    row_order,
)

Find = Callable[[Dataset], list[str]]

LABEL_FINDINGS: tuple[Find, ...] = (label_range.find, negative_class.find, absent_classes.find, joined_classes.find)
"""Those that read only labels, so that every evaluation can show them."""

IMPORT_FINDINGS: tuple[Find, ...] = (
    missing_split.find,
    *LABEL_FINDINGS,
    row_order.find,
    equal_rows.find,
    near_texts.find,
    near_vectors.find,
)
"""Those about splits, labels and rows that are alike, which every import shows."""

FINDINGS: tuple[Find, ...] = (
    *IMPORT_FINDINGS,
    imbalance.find,
    absence.find,
    constant_features.find,
    far_values.find,
    outside_train.find,
    group_sizes.find,
)
"""All of them, in the order of the report."""


def find_all(dataset: Dataset, findings: tuple[Find, ...] = FINDINGS) -> list[str]:
    """One line per fault that a finding sees; empty for a dataset without any."""
    return [line for find in findings for line in find(dataset)]
