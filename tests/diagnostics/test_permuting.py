"""Shuffles: what they must keep, and lines taken off within bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.diagnostics.permuting import label_bins, p_value, permutation_within, residual, shuffles, unit_of


@given(bins=st.lists(st.integers(0, 3), min_size=1, max_size=30), seed=st.integers(0, 100))
def test_a_permutation_keeps_every_row_in_its_bin(bins: list[int], seed: int) -> None:
    order = permutation_within(np.array(bins), np.random.default_rng(seed))
    assert sorted(order) == list(range(len(bins)))
    assert np.array_equal(np.array(bins)[order], bins)


def test_every_order_within_a_bin_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    drawn = [tuple(permutation_within(np.array([0, 1, 0, 0]), rng)) for _ in range(6000)]
    orders, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(orders) == 6
    assert counts.min() > 850
    assert counts.max() < 1150


def test_bins_are_classes_or_hold_equally_many_rows() -> None:
    assert label_bins(np.array([7, 3, 7]), True, 2).tolist() == [1, 0, 1]
    bins = label_bins(np.random.default_rng(0).normal(size=300), False, 3)
    assert np.bincount(bins).tolist() == [60] * 5
    assert label_bins(np.arange(30.0), False, 10).tolist() == [0] * 30
    assert label_bins(np.ones(300), False, 1).max() <= 1
    assert len(label_bins(np.zeros(0), False, 1)) == 0


def test_a_residual_is_what_a_fitted_line_leaves() -> None:
    rng = np.random.default_rng(0)
    y, bins = rng.normal(size=40), np.repeat([0, 1], 20)
    values = np.stack([3 * y + rng.normal(size=40), y**2], axis=1)
    left = residual(values, bins, y)
    for rows in (bins == 0, bins == 1):
        for column in range(2):
            line = np.polyval(np.polyfit(y[rows], values[rows, column], 1), y[rows])
            assert left[rows, column] == pytest.approx(values[rows, column] - line)
    assert residual(values, bins)[bins == 1].mean(0) == pytest.approx([0, 0])


def test_the_unit_of_exchange_follows_from_the_groups() -> None:
    env = np.array([0, 0, 0, 1, 1, 1])
    assert unit_of(env, None) == "rows"
    assert unit_of(env, np.array([0, 0, 1, 2, 2, 3])) == "groups"
    assert unit_of(env, np.array([0, 0, 0, 1, 1, 1])) == "rows"
    assert unit_of(env, np.array([0, 1, 0, 0, 1, 1])) == "rows in groups"


def test_groups_move_whole_or_keep_their_rows() -> None:
    rng = np.random.default_rng(0)
    env, bins = np.array([0, 0, 0, 1, 1, 1]), np.zeros(6, dtype=np.int64)
    whole = np.array([0, 0, 1, 2, 2, 3])
    for drawn in shuffles(env, bins, whole, 20, rng):
        assert all(len(set(drawn[whole == g])) == 1 for g in range(4))
    inside = np.array([0, 1, 0, 0, 1, 1])
    draws = shuffles(env, bins, inside, 20, rng)
    assert np.array_equal(draws[0], env)
    assert len(np.unique(draws, axis=0)) > 3
    for drawn in draws:
        assert all(sorted(drawn[inside == g]) == sorted(env[inside == g]) for g in range(2))


def test_p_counts_the_observed_value() -> None:
    assert p_value(np.array([3.0, 1, 2, 3, 0])) == 2 / 5
    assert p_value(np.array([3.0, *[0] * 99])) == 1 / 100
    assert p_value(np.array([3.0, np.nan, 2, 1])) == 2 / 4, "an undefined value may have been larger"
    assert p_value(np.array([np.nan, 1, 2])) == p_value(np.zeros(7)) == 1
