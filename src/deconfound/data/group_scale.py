"""Mean and variance of each group's own rows, such as a speaker's, for scaling per group. No label is read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.data.schema import DatasetParts
from deconfound.data.signal import GroupMoments, Signal
from deconfound.data.task import Modality, scale_shape

_CHUNK = 1 << 22  # numbers converted to float64 at a time
_MISSING = folded(MISSING)


class UnknownGroupWarning(UserWarning):
    """Rows have no group to be scaled by."""


@dataclass(frozen=True, eq=False)
class GroupScale:
    """Moments of the groups of N rows.

    Args:
        group: (N,) int64 number of each row's group.
        moments: modality → `GroupMoments` with one row per group.
    """

    group: Tensor
    moments: Mapping[str, GroupMoments]

    def of(self, rows: range | Tensor) -> dict[str, GroupMoments]:
        """Modality → the moments of the group of each of these rows."""
        group = self.group[rows.start : rows.stop] if isinstance(rows, range) else self.group[rows]
        return {name: moments.select(group) for name, moments in self.moments.items()}


def group_scale(signals: Mapping[str, Signal], names: Sequence[str]) -> GroupScale:
    """The moments of each group over the steps that exist in its rows.

    Args:
        signals: modality → N rows; tokens are left out.
        names: N group names; "" is a row without a group, whose count is 0.
    """
    distinct = sorted(set(names))
    number = {name: place for place, name in enumerate(distinct)}
    group = torch.tensor([number[name] for name in names], dtype=torch.int64)
    unknown = torch.tensor([name == "" for name in distinct], dtype=torch.bool)
    real = {name: signal for name, signal in signals.items() if signal.values.is_floating_point()}
    return GroupScale(group, {name: _moments(signal, group, unknown) for name, signal in real.items()})


def dataset_groups(dataset: DatasetParts, columns: Sequence[str]) -> list[str]:
    """N names such as "valid, speaker=anna": rows of different splits never share moments. "" where a column has no value."""
    values = [dataset.columns[name].values.tolist() for name in columns]
    names = [""] * len(dataset.target)
    for split, rows in dataset.splits.items():
        for row in rows:
            names[row] = group_name(f"{split}, ", columns, [column[row] for column in values])
    return names


def group_name(prefix: str, columns: Sequence[str], values: Sequence[object]) -> str:
    """The name of a row's group; "" where a column has no value."""
    if any(is_missing(value, _MISSING) for value in values):
        return ""
    return prefix + ", ".join(f"{name}={value}" for name, value in zip(columns, values, strict=True))


def warn_of_unknown(name: str, unknown: int, rows: int, wanted: str) -> None:
    """Warn where rows have no group.

    Args:
        name: of the rows.
        wanted: the columns that a row's group needs, in words.
    """
    if unknown:
        warnings.warn(
            f"{unknown} of {rows} rows of {name} have no {wanted}, so the training rows scale them in the place of their own "
            "group; give that column",
            UnknownGroupWarning,
            stacklevel=3,
        )


def _moments(signal: Signal, group: Tensor, unknown: Tensor) -> GroupMoments:
    shape = scale_shape(Modality("", signal.values.shape[1], tuple(signal.values.shape[2:])))
    axes = [axis + 1 for axis, size in enumerate(shape) if size == 1]
    steps, total, squares = torch.zeros(len(unknown)).double(), *(torch.zeros(len(unknown), *shape).double(),) * 2
    rows = torch.zeros(len(unknown)).double().index_add(0, group, signal.present.double())
    size = max(1, _CHUNK // max(1, signal.values[0].numel()))
    for start in range(0, len(group), size):
        values, number = _existing(signal, group, slice(start, start + size))
        steps = steps.index_add(0, number, torch.ones(len(values)).double())
        total = total.index_add(0, number, values.mean(axes, keepdim=True) if axes else values)
    count = steps.clamp(min=1).reshape(-1, *[1] * len(shape))
    mean = total / count
    for start in range(0, len(group), size):
        values, number = _existing(signal, group, slice(start, start + size))
        deviation = (values - mean[number]).square()
        squares = squares.index_add(0, number, deviation.mean(axes, keepdim=True) if axes else deviation)
    return GroupMoments(rows.masked_fill(unknown, 0).float(), mean.float(), (squares / count).float())


def _existing(signal: Signal, group: Tensor, part: slice) -> tuple[Tensor, Tensor]:
    """(S, *F) float64 steps that exist in some rows, and (S,) the group of each."""
    mask = signal.mask[part]
    return signal.values[part][mask].double(), group[part].repeat_interleave(mask.sum(dim=1))
