"""Classes so rare that accuracy hides whether a model finds them."""

from __future__ import annotations

import torch

from deconfound.data.dataset import Dataset

_RARE = 0.2  # of an even share of the rows


def is_imbalanced(counts: torch.Tensor) -> bool:
    """True if the rarest class that occurs has less than a fifth of an even share of the rows.

    Args:
        counts: (C,) rows per class.
    """
    occurring = counts[counts > 0]
    return len(occurring) > 1 and float(occurring.min()) < _RARE * float(occurring.sum()) / len(occurring)


def find(dataset: Dataset) -> list[str]:
    """One line if the classes of train are imbalanced."""
    if dataset.task.kind != "classification" or "train" not in dataset.splits:
        return []
    counts = torch.bincount(dataset.batch("train").target, minlength=dataset.task.outputs)
    if not is_imbalanced(counts):
        return []
    present = torch.where(counts > 0, counts, counts.max())
    rarest, commonest = int(present.argmin()), int(counts.argmax())
    names, rows = dataset.task.classes, int(counts.sum())
    return [
        f"classes are imbalanced: {int(counts[rarest])} of {rows} rows of train are {names[rarest]!r}, "
        f"{int(counts[commonest])} are {names[commonest]!r}; always saying {names[commonest]!r} has an accuracy of "
        f"{int(counts[commonest]) / rows:.2f}: judge by worst-class-recall, macro-f1 or auroc"
    ]
