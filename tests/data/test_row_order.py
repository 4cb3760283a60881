"""The order of the rows: runs against their mean over all orders, and what is said of a sorted table."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import deconfound as dc
from deconfound.data.findings import find_all, row_order


@pytest.mark.parametrize("codes", [[0], [0, 0], [0, 0, 1], [0, 1, 2, 2], [0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2, 2]])
def test_expected_runs_are_those_over_all_orders(codes):
    counted = [row_order.runs(np.array(order)) for order in permutations(codes)]
    assert row_order.expected_runs(np.array(codes)) == pytest.approx((np.mean(counted), np.std(counted)), abs=1e-9)


def table(labels: list[object], **changes: object) -> dc.Dataset:
    draw = np.random.default_rng(0)
    split = ["train"] * 60 + ["valid"] * 20 + ["test"] * 20
    return dc.dataset(target=labels, **{"x": draw.normal(size=(100, 3)), "split": split, "quiet": True, **changes})


def test_a_table_sorted_by_its_classes():
    (line,) = [line for line in find_all(table(["a"] * 30 + ["b"] * 50 + ["c"] * 20)) if "order" in line]
    assert (
        "the rows are in the order of their classes: train (2 runs of equal labels in 60 rows, a random order has 31)"
        in line
    )
    assert "split at random (shares and a seed)" in line


def test_a_table_sorted_by_its_numbers():
    (line,) = [line for line in find_all(table(np.linspace(0, 1, 100), task="regression")) if "order" in line]
    assert "in the order of their quarters of the label: train (4 runs" in line


def test_blocks_of_the_table_are_said():
    data = table(["a"] * 30 + ["b"] * 50 + ["c"] * 20)
    assert data.provenance["split_blocks"]
    assert "The splits are consecutive blocks of the table." in row_order.find(data)[0]
    assert not table(["a", "b"] * 50, split=["train", "valid", "test", "train"] * 25).provenance["split_blocks"]


def test_a_random_order_is_no_finding():
    draw = np.random.default_rng(0)
    assert row_order.find(table(draw.choice(["a", "b", "c"], 100).tolist())) == []
    assert row_order.find(table(draw.normal(size=100), task="regression")) == []
    assert row_order.find(table(["a", "b"] * 50)) == []
    assert row_order.find(table(["rare"] + ["often"] * 59 + ["rare"] + ["often"] * 39)) == []
