"""Rows that lie far outside the range of train, by split and group, and the features that take them there.

A model has not seen anything like them, and what it makes of such inputs is arbitrary. The usual cause is a group, such as
a session or a device, with a zero or a unit of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.findings.feature_moments import moments, numeric, step_chunks
from deconfound.data.signal import Signal

_FAR = 3.0  # training standard deviations beyond the smallest or largest value of train
_SHARE = 0.05  # of a split's rows
_MOST = 3  # features and groups that are named


@dataclass(frozen=True, eq=False)
class _Distance:
    """How far the rows of a split lie outside.

    Args:
        row: (R,) bool, whether a step of the row lies far outside in some feature.
        count: (D,) number of far-out steps by feature.
        furthest: (D,) largest distance by feature, in training standard deviations.
    """

    row: Tensor
    count: Tensor
    furthest: Tensor


def find(dataset: Dataset) -> list[str]:
    """One line per modality and split of which a twentieth of the rows lies outside."""
    if "train" not in dataset.splits:
        return []
    lines = []
    for name, signal in numeric(dataset).items():
        low, high = _range(signal, dataset.splits["train"])
        mean, sd = moments(signal, dataset.splits["train"])
        varying = sd > 1e-6 * mean.abs().clamp(min=1)  # others are those of `constant_features`
        for split, rows in dataset.splits.items():
            if split == "train":
                continue
            distance = _distance(signal, rows, (low, high), torch.where(varying, sd, torch.inf))
            if float(distance.row.double().mean()) >= _SHARE:
                lines.append(_line(dataset, name, split, distance))
    return lines


def _range(signal: Signal, rows: range) -> tuple[Tensor, Tensor]:
    """(D,) smallest and largest values; infinite without a step, so that nothing lies outside."""
    low, high = torch.full((2, signal.values.shape[2]), torch.inf, dtype=torch.float64) * torch.tensor([[1.0], [-1.0]])
    for steps, _ in step_chunks(signal, rows):
        if len(steps):
            low, high = torch.minimum(low, steps.amin(0)), torch.maximum(high, steps.amax(0))
    return (low, high) if bool((low <= high).any()) else (-low, -high)


def _distance(signal: Signal, rows: range, limits: tuple[Tensor, Tensor], sd: Tensor) -> _Distance:
    low, high = limits
    row = torch.zeros(len(rows), dtype=torch.bool)
    count, furthest = torch.zeros(len(low), dtype=torch.int64), torch.zeros(len(low), dtype=torch.float64)
    for steps, numbers in step_chunks(signal, rows):
        if len(steps) == 0:
            continue
        beyond = torch.maximum(low - steps, steps - high).clamp(min=0) / sd
        far = beyond > _FAR
        row[numbers[far.any(dim=1)] - rows.start] = True
        count += far.sum(dim=0)
        furthest = torch.maximum(furthest, beyond.amax(dim=0))
    return _Distance(row, count, furthest)


def _line(dataset: Dataset, name: str, split: str, distance: _Distance) -> str:
    order = distance.count.argsort(descending=True, stable=True)
    features = [int(feature) for feature in order if distance.count[feature]]
    named = ", ".join(f"{feature} by up to {float(distance.furthest[feature]):.3g}" for feature in features[:_MOST])
    more = f" and {len(features) - _MOST} more" if len(features) > _MOST else ""
    columns = dataset.group or dataset.environment
    by = f"scale_by = {list(columns)!r}" if columns else "scale_by with the column of their group, such as a session"
    count = f"{int(distance.row.sum())} of {len(distance.row)} rows of {split}{_groups(dataset, split, distance.row)}"
    return (
        f"{name}: {count} lie more than {_FAR:g} standard deviations beyond the range of train (feature {named}{more}): "
        f"look for another zero or unit; "
        f'under [data], {by} scales each group by its own rows, and scale = "rank-gauss" bounds what lies outside'
    )


def _groups(dataset: Dataset, split: str, far: Tensor) -> str:
    """`" (speaker=s5 100%, speaker=s7 12%)"`: the groups with the largest shares; "" without groups."""
    columns = dataset.group or dataset.environment
    if not columns:
        return ""
    codes, names = dataset.groups(*columns)
    rows = dataset.splits[split]
    here = codes[rows.start : rows.stop]
    total = torch.bincount(here, minlength=len(names))
    share = torch.bincount(here, far.double(), minlength=len(names)) / total.clamp(min=1)
    order = [int(number) for number in share.argsort(descending=True, stable=True) if share[number] > 0]
    more = f" and {len(order) - _MOST} more" if len(order) > _MOST else ""
    return f" ({', '.join(f'{names[number]} {float(share[number]):.0%}' for number in order[:_MOST])}{more})"
