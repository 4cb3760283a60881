"""Splits that training and evaluation need and that are not there."""

from __future__ import annotations

from deconfound.data.dataset import Dataset
from deconfound.data.splits import TAKE_VALID


def find(dataset: Dataset) -> list[str]:
    """One line per split that is missing."""
    lines = []
    if "train" not in dataset.splits:
        lines.append("there is no split 'train'; training needs it: name it in the column of splits")
    if "valid" not in dataset.splits:
        lines.append(f"there is no split 'valid'; training needs it: {TAKE_VALID}")
    if not dataset.test_splits:
        lines.append("there is no test split; the final model cannot be evaluated")
    return lines
