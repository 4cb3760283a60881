"""The order of the rows: runs against their mean over all orders, and what is said of a sorted table."""

from __future__ import annotations

from dataclasses import replace
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
    assert "the splits are consecutive blocks of the table, so that they hold other labels: split at random" in line


def test_a_table_sorted_by_its_numbers():
    (line,) = [line for line in find_all(table(np.linspace(0, 1, 100), task="regression")) if "order" in line]
    assert "in the order of their quarters of the label: train (4 runs" in line


def test_splits_that_are_no_blocks_are_said_to_be_harmless():
    names = ["train", "train", "train", "valid", "test"] * 20
    labels = ["a"] * 50 + ["b"] * 50
    for split in (names, {"train": 0.6, "valid": 0.2, "test": 0.2}):
        (line,) = row_order.find(table(labels, split=split))
        assert "the splits are no blocks of the table" in line
    unknown = replace(table(labels, split=names), provenance={})
    assert "a split by position would hold other labels" in row_order.find(unknown)[0]


def test_a_random_order_is_no_finding():
    draw = np.random.default_rng(0)
    assert row_order.find(table(draw.choice(["a", "b", "c"], 100).tolist())) == []
    assert row_order.find(table(draw.normal(size=100), task="regression")) == []
    assert row_order.find(table(["a", "b"] * 50)) == []
    assert row_order.find(table(["rare"] + ["often"] * 59 + ["rare"] + ["often"] * 39)) == []
