"""A rare negative class number, such as -1, among others from 0: often a mark for "no label"."""

from __future__ import annotations

import re

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings.wording import named_rows


def find(dataset: Dataset) -> list[str]:
    """One line if a negative class is rare."""
    classes = dataset.task.classes
    if (
        dataset.task.kind != "classification"
        or len(classes) < 3
        or not all(re.fullmatch(r"-?\d+(\.0)?", name) for name in classes)
    ):
        return []
    counts = torch.bincount(dataset.target, minlength=len(classes)).tolist()
    negative = [code for code, name in enumerate(classes) if float(name) < 0]
    if len(negative) != 1:
        return []
    code = negative[0]
    others = [count for other, count in enumerate(counts) if other != code]
    if not 0 < counts[code] < min(others) / 2:
        return []
    rows = torch.nonzero(dataset.target == code).flatten().tolist()
    return [
        f"the class {classes[code]!r} has {counts[code]} of {len(dataset)} rows ({named_rows(dataset, rows)}), far fewer "
        f'than any other: does it mean "no label"? Then import with missing = ["{classes[code]}"] and unlabelled = "drop"'
    ]
