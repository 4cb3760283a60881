"""Ranks over datasets and areas under severity curves, against SciPy, published tables and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deconfound.errors import DataError
from deconfound.statistics import (
    area_weights,
    auilc,
    average_ranks,
    cliques,
    critical_difference,
    friedman,
    ranks,
    relative_robustness,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31), st.booleans())
def test_a_rank_is_one_plus_those_ahead_plus_half_of_those_level(d: int, a: int, seed: int, higher: bool) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (d, a)).astype(float)
    signed = values if higher else -values
    ranked = ranks(values, higher_is_better=higher)
    for row, merits in zip(ranked, signed, strict=True):
        slow = [1 + sum(other > v for other in merits) + (sum(other == v for other in merits) - 1) / 2 for v in merits]
        assert row.tolist() == slow
    np.testing.assert_allclose(ranked.mean(axis=0), average_ranks(values, higher_is_better=higher))


def test_a_method_without_a_value_has_no_rank() -> None:
    with pytest.raises(DataError, match="finite value of each method"):
        ranks(np.array([[1.0, np.nan]]), higher_is_better=True)


@pytest.mark.parametrize("tied", [False, True])
def test_friedman_is_scipys_and_f_that_of_iman_and_davenport(tied: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, (9, 4)).astype(float) if tied else rng.normal(size=(9, 4))
    test = friedman(ranks(values, higher_is_better=False))
    oracle = stats.friedmanchisquare(*values.T)
    assert (test.statistic, test.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    f = 8 * test.statistic / (9 * 3 - test.statistic)
    assert (test.f, test.f_p) == pytest.approx((f, stats.f.sf(f, 3, 24)))


def test_friedman_at_its_ends() -> None:
    same = np.tile([1.0, 2.0, 3.0], (4, 1))
    assert friedman(same).f == np.inf
    assert friedman(same).f_p == pytest.approx(6.0**-3)  # every order of the methods is as likely on each dataset
    assert friedman(np.full((4, 3), 2.0)).p == 1
    with pytest.raises(DataError, match="2 datasets and 3 methods"):
        friedman(np.array([[1.0, 2.0]]))


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (8, 3.031), (10, 3.164)])
def test_critical_differences_are_those_of_the_published_table(methods: int, q: float) -> None:
    """Demšar 2006, table 5 (a), α = 0.05."""
    expected = q * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, abs=1e-3)


def test_too_little_for_a_critical_difference_is_refused() -> None:
    with pytest.raises(DataError, match="2 methods and 1 dataset"):
        critical_difference(1, 3)


def test_cliques_are_the_widest_sets_within_the_difference() -> None:
    average = np.array([3.0, 1.0, 2.2, 4.9, 3.1])
    assert cliques(average, 1.3) == [(1, 2), (2, 0, 4)]
    assert cliques(average, 10) == [(1, 2, 0, 4, 3)]
    assert cliques(average, 0.01) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=8, unique=True), st.integers(0, 2**31))
def test_an_area_is_a_sum_of_trapezoids(levels: list[float], seed: int) -> None:
    levels = sorted(levels)
    if min(np.diff(levels)) == 0:
        return
    values = np.random.default_rng(seed).normal(size=len(levels)).tolist()
    pairs = zip(levels, levels[1:], values, values[1:], strict=False)
    slow = sum((m + n) / 2 * (b - a) for a, b, m, n in pairs)
    assert auilc(levels, values) == pytest.approx(slow, abs=1e-9)
    assert auilc(levels, values) == pytest.approx(np.trapezoid(values, levels), abs=1e-9)
    width = levels[-1] - levels[0]
    assert relative_robustness(levels, values) * width == pytest.approx(slow, abs=1e-9)
    assert relative_robustness(levels, [0.7] * len(levels)) == pytest.approx(0.7)


def test_areas_need_a_curve() -> None:
    for levels in ([0.0], [0.0, 0.0], [1.0, 0.5]):
        with pytest.raises(DataError, match="ascending order"):
            area_weights(levels)
    with pytest.raises(DataError, match="as many values"):
        auilc([0.0, 1.0], [1.0])
