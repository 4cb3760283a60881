"""A shift that the script makes: rows belong to groups, each of which measures every feature in its own unit and zero.

x_f becomes (exp(0.3 u_gf) x_f + v_gf · sd_f), u and v standard normal for each group and feature, sd_f over all rows. Labels
are not touched. Each split has groups of its own, six in train, two in valid and two in test, so all test groups are new.
What it stands for is a speaker, a scanner or a camera. Scaling per group undoes it by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from deconfound.data.columns import Columns
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal

GROUPS = {"train": 6, "valid": 2, "test": 2}
GAIN = 0.3


def shifted(make: Callable[[int], Dataset], fold: int) -> Dataset:
    """The set of a fold with a column "group" and shifted inputs; the fold is the seed of groups, units and zeros."""
    dataset, draw = make(fold), np.random.default_rng([fold, 1])
    names = np.empty(len(dataset), dtype=object)
    for split, rows in dataset.splits.items():
        names[rows.start : rows.stop] = [f"{split}-{number % GROUPS[split]}" for number in draw.permutation(len(rows))]
    distinct = sorted(set(names.tolist()))
    group = np.array([distinct.index(name) for name in names])
    signals = {}
    for name, signal in dataset.signals.items():
        values = signal.values.numpy()
        shape = (len(distinct), 1, *values.shape[2:])
        gain, zero = np.exp(GAIN * draw.normal(size=shape)), draw.normal(size=shape)
        moved = gain[group] * values + zero[group] * values.std(axis=0, keepdims=True)
        signals[name] = Signal(torch.from_numpy(moved.astype(np.float32)), signal.mask).keep(signal.mask)
    columns = Columns({**dataset.columns, "group": names})
    return replace(dataset, name=f"{dataset.name}-groups", signals=signals, columns=columns, group=("group",))


def with_shift(sets: dict[str, Callable[[int], Dataset]]) -> dict[str, Callable[[int], Dataset]]:
    """NAME-groups → the shifted set."""
    return {f"{name}-groups": partial(shifted, make) for name, make in sets.items()}
