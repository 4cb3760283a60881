"""Classes that join the names of several labels, such as "happy|sad": labels that may occur together are no classes."""

from __future__ import annotations

from collections import Counter

from deconfound.data.dataset import Dataset
from deconfound.data.one_label import ONE_LABEL

_SEPARATORS = "|;,+&"


def find(dataset: Dataset) -> list[str]:
    """One line if two or more classes share parts that a separator joins."""
    classes = dataset.task.classes if dataset.task.kind == "classification" else ()
    for separator in _SEPARATORS:
        joined = [name for name in classes if separator in name.strip(separator)]
        parts = Counter(part.strip() for name in classes for part in set(name.split(separator)))
        shared = [name for name in joined if all(parts[part.strip()] > 1 for part in name.split(separator))]
        if len(shared) > 1:
            return [
                f"{len(joined)} of {len(classes)} classes join several names by {separator!r}, such as {shared[0]!r}, and "
                f"each combination counts as a class of its own; {ONE_LABEL}"
            ]
    return []
