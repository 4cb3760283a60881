"""Paired tests and corrections against SciPy and loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deconfound.errors import DataError
from deconfound.statistics import corrected, sign_flip, smallest_p, wilcoxon

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_sign_flips_are_exact_as_in_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    patterns = [abs(np.dot(signs, d)) >= abs(d.sum()) * (1 - 1e-12) for signs in product((-1, 1), repeat=n)]
    assert sign_flip(d) == pytest.approx(np.mean(patterns))
    if n > 1:
        oracle = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert sign_flip(d) == pytest.approx(oracle.pvalue)


def test_many_differences_are_flipped_at_random_and_agree_with_the_t_test() -> None:
    d = np.random.default_rng(0).normal(0.25, 1, 60)
    p = sign_flip(d, np.random.default_rng(1), 20_000)
    assert p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert sign_flip(d, np.random.default_rng(1), 20_000) == p
    assert sign_flip(d + 100, np.random.default_rng(1), 999) == 1 / 1000
    with pytest.raises(DataError, match="give a generator"):
        sign_flip(d)
    with pytest.raises(DataError, match="needs \\(n,\\) differences"):
        sign_flip(np.array([]))


def test_equal_sides_have_p_1_and_consistent_ones_the_smallest() -> None:
    assert sign_flip(np.zeros(4)) == wilcoxon(np.zeros(4)) == 1
    for n in (2, 5, 8):
        clear = 1 + np.arange(n) / 100
        assert sign_flip(clear) == pytest.approx(smallest_p(n))
        assert wilcoxon(clear) == pytest.approx(smallest_p(n))
    assert smallest_p(1) == 1


def test_wilcoxon_is_scipys_with_ties_and_zeros_too() -> None:
    d = np.array([0.3, -0.1, 0.5, 0.2, 0.9, -0.4, 0.7])
    assert wilcoxon(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    assert wilcoxon(np.append(d, [0.0, 0.0])) == wilcoxon(d)
    assert 0 < wilcoxon(np.array([0.1, 0.1, 0.2, -0.1, 0.2])) <= 1


def holm(p: list[float]) -> list[float]:
    """By the book: the k-th smallest of m times m − k + 1, never below an earlier one."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, p[i] * (len(p) - rank)))
        adjusted[i] = largest
    return adjusted


def benjamini_hochberg(p: list[float]) -> list[float]:
    """By the book: the smallest of p_(j) m / j over j ≥ k."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, least = [0.0] * len(p), 1.0
    for rank in range(len(p), 0, -1):
        least = min(least, p[order[rank - 1]] * len(p) / rank)
        adjusted[order[rank - 1]] = least
    return adjusted


@settings(max_examples=50, deadline=None)
@given(P)
def test_corrections_are_those_of_the_book(p: list[float]) -> None:
    assert corrected(p, "holm") == pytest.approx(holm(p))
    assert corrected(p, "benjamini-hochberg") == pytest.approx(benjamini_hochberg(p))
    assert corrected(p, "bonferroni") == pytest.approx([min(1.0, value * len(p)) for value in p])
    assert corrected(p, "none") == p


@settings(max_examples=50, deadline=None)
@given(P)
def test_corrections_only_raise_and_keep_the_order(p: list[float]) -> None:
    bh, step, simple = (np.array(corrected(p, how)) for how in ("benjamini-hochberg", "holm", "bonferroni"))
    assert (np.array(p) <= bh + 1e-12).all()
    assert (bh <= step + 1e-12).all()
    assert (step <= simple + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert all((np.diff(values[order]) >= -1e-12).all() for values in (bh, step, simple))


def test_what_was_not_tested_is_no_comparison() -> None:
    assert corrected([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert corrected([None]) == [None]
    assert corrected([]) == []
    with pytest.raises(DataError, match="lie in \\[0, 1\\]"):
        corrected([1.5])
    with pytest.raises(DataError, match="no correction 'sidak'"):
        corrected([0.5], "sidak")  # type: ignore[arg-type]
