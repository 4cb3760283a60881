"""A modality whose absence depends on the label, or is much more frequent in one split than in another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.splits import DEVELOPMENT

_LEAST_GAP = 0.1  # between two shares of absent rows
_LEAST_Z = 4.0  # standard errors of the difference, so that chance alone gives no line


def find(dataset: Dataset) -> list[str]:
    """One line per modality and split whose absent rows tell the label or differ from train."""
    return [line for name in dataset.signals for line in (*_by_label(dataset, name), *_by_split(dataset, name))]


def _by_label(dataset: Dataset, name: str) -> list[str]:
    """The shares of absent rows of the class, or half of the labels, with the most and the least, in train and valid."""
    lines = []
    for split in DEVELOPMENT:
        if split not in dataset.splits:
            continue
        batch = dataset.batch(split)
        absent = ~batch.signals[name].present
        strata = [(label, absent[which]) for label, which in _strata(dataset, batch.target) if bool(which.any())]
        shares = sorted(strata, key=lambda stratum: float(stratum[1].double().mean()))
        (low_label, low), (high_label, high) = shares[0], shares[-1]
        if _differ(low, high):
            lines.append(
                f"{name} is absent in {_share(high)} of {len(high)} rows of {split} with {high_label} but in "
                f"{_share(low)} of {len(low)} with {low_label}: its absence tells the label; find out why it is absent, "
                "and train with modality-dropout or on the rows that have it"
            )
    return lines


def _by_split(dataset: Dataset, name: str) -> list[str]:
    if "train" not in dataset.splits:
        return []
    absent = ~dataset.signals[name].present
    train = absent[dataset.splits["train"].start : dataset.splits["train"].stop]
    lines = []
    for split, rows in dataset.splits.items():
        part = absent[rows.start : rows.stop]
        if split != "train" and _differ(train, part):
            lines.append(
                f"{name} is absent in {_share(train)} of {len(train)} rows of train but in {_share(part)} of {len(part)} "
                f"rows of {split}: scores on {split} do not show how well it works as trained; split anew, or train with "
                "modality-dropout"
            )
    return lines


def _strata(dataset: Dataset, target: Tensor) -> list[tuple[str, Tensor]]:
    if dataset.task.kind == "classification":
        return [(f"the class {label!r}", target == code) for code, label in enumerate(dataset.task.classes)]
    if dataset.task.kind == "multilabel":
        named = [(f"the label {label!r}", target[:, code] == 1) for code, label in enumerate(dataset.task.classes)]
        return [*named, ("no label", target.sum(1) == 0)]
    middle = float(target.median())
    return [(f"labels up to {middle:.3g}", target <= middle), (f"labels above {middle:.3g}", target > middle)]


def _differ(first: Tensor, second: Tensor) -> bool:
    a, b = float(first.double().mean()), float(second.double().mean())
    pooled = (a * len(first) + b * len(second)) / (len(first) + len(second))
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(first) + 1 / len(second)))
    return abs(a - b) > max(_LEAST_GAP, _LEAST_Z * error)


def _share(absent: torch.Tensor) -> str:
    return f"{float(absent.double().mean()):.1%}"
