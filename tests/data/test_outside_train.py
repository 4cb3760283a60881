"""Rows outside the range of train are counted by split and group, and the features that take them there are named."""

import re

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings import far_values, find_all, outside_train
from deconfound.data.signal import Signal
from deconfound.data.task import Task

ROWS = 300


def made(*, group: tuple[str, ...] = ("session",), offset: float = 0.0, rows: int = 10, feature: int = 2) -> Dataset:
    """180 rows of train, 60 of valid and 60 of test in sessions of 30; the first rows of test are moved in one feature."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(ROWS, 3, 5, generator=draw) * torch.tensor([1.0, 10.0, 0.1, 1.0, 0.0]) + 4
    values[240 : 240 + rows, 0, feature] += offset
    mask = torch.ones(ROWS, 3, dtype=torch.bool)
    mask[::7, 2] = False
    return Dataset.build(
        "rooms",
        Task.regression(),
        {"x": Signal(values, torch.ones_like(mask)).keep(mask)},
        torch.randn(ROWS, generator=draw),
        {"id": [f"r{row}" for row in range(ROWS)], "session": [f"s{row // 30}" for row in range(ROWS)]},
        ["train"] * 180 + ["valid"] * 60 + ["test"] * 60,
        group=group,
    )


def test_rows_of_the_same_origin_are_not_reported() -> None:
    assert outside_train.find(made()) == []
    assert outside_train.find(made(offset=5, rows=2)) == [], "two of 60 rows are no part of a split"


def test_a_moved_session_is_named_with_its_share_its_features_and_the_remedy() -> None:
    data = made(offset=50.0, rows=30)
    (line,) = outside_train.find(data)
    train = data.batch("train").signals["x"]
    steps = train.values[train.mask].double().numpy()[:, 2]
    test = data.batch("test").signals["x"]
    beyond = (test.values[test.mask].double().numpy()[:, 2] - steps.max()) / steps.std()
    assert line.startswith(
        "x: 30 of 60 rows of test (session=s8 100%) lie more than 3 standard deviations beyond the range of train "
        f"(feature 2 by up to {np.max(beyond):.3g}):"
    )
    assert "scale_by = ['session'] scales each group by its own rows" in line
    assert 'scale = "rank-gauss" bounds' in line
    assert line in find_all(data)


def test_without_groups_the_line_asks_for_the_column() -> None:
    (line,) = outside_train.find(made(offset=50.0, rows=30, group=()))
    assert re.search(
        "30 of 60 rows of test lie more .* scale_by with the column of their group, such as a session", line
    )


def test_constant_features_and_splits_without_train_are_left_to_others() -> None:
    assert outside_train.find(made(offset=50.0, rows=30, feature=4)) == []
    assert far_values.find(made(offset=50.0, rows=30, feature=4)) == []
