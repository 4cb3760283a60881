"""A class without a row in a split other than train: metrics over classes then mean less than they seem to."""

from __future__ import annotations

import torch

from deconfound.data.dataset import Dataset


def find(dataset: Dataset) -> list[str]:
    """One line per split that lacks a class."""
    if dataset.task.kind != "classification":
        return []
    lines = []
    for split in dataset.splits:
        counts = torch.bincount(dataset.batch(split).target, minlength=dataset.task.outputs).tolist()
        lacking = [name for name, count in zip(dataset.task.classes, counts, strict=True) if not count]
        if lacking:
            lines.append(
                f"no row of {split} has the class {', '.join(map(repr, lacking))}: {split} has {sum(counts)} rows of "
                f"{len(counts) - len(lacking)} of {len(counts)} classes, so {_consequence(split)}; split anew, a random "
                "split of groups with stratify = true"
            )
    return lines


def _consequence(split: str) -> str:
    if split == "train":
        return "a model cannot learn it"
    return "its macro F1 and recall say nothing about it, and AUROC may not exist"
