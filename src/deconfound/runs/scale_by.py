"""Scaling of the inputs per group: which rows of a dataset have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deconfound.data.dataset import Dataset
from deconfound.data.group_scale import dataset_groups, warn_of_unknown


def scaled_by(dataset: Dataset, columns: Sequence[str], *, optional: bool = False) -> Dataset:
    """The same rows, each to be scaled by the rows of its group in its split.

    Args:
        columns: metadata columns whose combinations are the groups.
        optional: leave a dataset without these columns as it is, with a warning; else they are required.

    Raises:
        DataError: a column does not exist.

    Warns `UnknownGroupWarning` where rows have no group: they are scaled by the training rows.
    """
    wanted = " and ".join(repr(name) for name in columns)
    if optional and not set(columns) <= set(dataset.columns):
        warn_of_unknown(dataset.name, len(dataset), len(dataset), wanted)
        return dataset
    dataset = replace(dataset, scale_by=tuple(columns))
    warn_of_unknown(dataset.name, dataset_groups(dataset, columns).count(""), len(dataset), wanted)
    return dataset
