"""Values without variance: no test may say more than the exact test of equal signs, and no interval is a point."""

from __future__ import annotations

from math import comb, factorial

import numpy as np
import pytest
from scipy import stats

from deconfound.statistics import critical_difference, estimate, friedman, resample, sign_flip, smallest_p, wilcoxon
from deconfound.statistics.predominance import BALANCED, verdict
from deconfound.statistics.student import mean_interval, paired_interval


@pytest.mark.parametrize("n", [2, 3, 5, 8])
@pytest.mark.parametrize("noise", [0.0, 1e-17, 3e-9])
def test_equal_differences_have_the_p_of_equal_signs(n: int, noise: float) -> None:
    equal = np.full(n, 0.1) + noise * np.arange(n)
    result = estimate(equal, size=0.8)
    assert result.p == result.least_p == 2.0 ** (1 - n) == sign_flip(np.full(n, 0.1))
    assert (result.low, result.high) == (None, None)
    interval = mean_interval(equal.tolist())
    assert interval is not None
    assert (interval.low, interval.high, interval.p) == (None, None, 2.0 ** (1 - n))


def test_what_is_rounding_follows_from_the_numbers_that_were_compared() -> None:
    gaps = np.array([1e-8, 2e-8, -1e-8])
    assert estimate(gaps, size=0.8).p == 1
    assert estimate(gaps).p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    paired = paired_interval({0: 0.8, 1: 0.7}, {0: 0.8 - 1e-8, 1: 0.7 - 2e-8})
    assert paired is not None
    assert (paired.p, paired.low) == (1, None)


def rows_of(values: list[float], count: int, spread: float) -> np.ndarray:
    """(n, R) resamples of rows around values, whose variance over rows is alike for all seeds."""
    noise = np.random.default_rng(0).normal(0, spread, count)
    weights = np.random.default_rng(1).multinomial(count - 1, np.full(count, 1 / count), size=400) / (count - 1)
    return np.asarray(values)[:, None] + weights @ noise


def test_tied_seeds_keep_their_floor_beside_a_variance_of_rows() -> None:
    few = estimate(np.full(3, 0.5), rows_of([0.5] * 3, 40, 0.01), 40)
    assert (few.p, few.low, few.unit) == (0.25, None, "rows and seeds")
    many = estimate(np.full(8, 0.5), rows_of([0.5] * 8, 40, 0.01), 40)
    assert many.p == 2**-7
    assert many.low is not None
    assert 0 < many.low < 0.5


def test_the_interval_is_never_narrower_than_that_of_the_rows() -> None:
    """Seeds that agree by luck: V_seeds is far below what the bootstrap says of the same mean."""
    values = np.array([0.10, 0.101, 0.10, 0.10, 0.10])
    own = np.random.default_rng(3).normal(0, 0.1, (5, 400))  # each seed answers the rows differently
    result = estimate(values, values[:, None] + own, 20)
    both = (values[:, None] + own).mean(axis=0).var(ddof=1)
    assert result.high is not None
    assert result.high - result.mean == pytest.approx(stats.t.ppf(0.975, 19) * np.sqrt(both))


def test_rows_that_all_say_the_same_have_the_p_of_as_many_equal_signs() -> None:
    always = resample([lambda w: w @ np.full(5, 0.25) / w.sum(axis=1)], np.arange(5), 50, np.random.default_rng(0))
    result = estimate(np.array([0.25]), always, 5)
    assert (result.p, result.low) == (2.0**-4, None)


def test_wilcoxon_counts_sign_patterns_of_shared_ranks() -> None:
    assert wilcoxon(np.array([0.1, 0.1])) == 0.5
    assert wilcoxon(np.full(5, 0.1) + 1e-17 * np.arange(5)) == smallest_p(5)
    d = np.array([0.1, 0.1, 0.2, -0.1, 0.2])
    ranks = np.array([2, 2, 4.5, -2, 4.5])
    patterns = [np.dot([(1, -1)[code >> i & 1] for i in range(5)], ranks) for code in range(32)]
    assert wilcoxon(d) == np.mean(np.abs(patterns) >= ranks.sum())


@pytest.mark.parametrize(("d", "a"), [(2, 3), (3, 3), (4, 5)])
def test_friedmans_smallest_p_is_that_of_all_orders(d: int, a: int) -> None:
    same = np.tile(np.arange(1.0, a + 1), (d, 1))
    least = float(factorial(a)) ** (1 - d)
    assert friedman(same).f_p == pytest.approx(least)
    assert friedman(same).p >= least
    tied = np.tile([1.5, 1.5, *np.arange(3.0, a + 1)], (d, 1))
    assert friedman(tied).f_p == pytest.approx((factorial(a) / 2) ** (1 - d))


@pytest.mark.parametrize("datasets", [2, 3, 4, 5, 6, 9])
def test_two_methods_never_differ_where_a_sign_test_could_not_tell(datasets: int) -> None:
    found = critical_difference(2, datasets) < 1  # the largest difference of two mean ranks
    assert found == (2.0 ** (1 - datasets) <= 0.05)


@pytest.mark.parametrize("differ", [1, 3, 5, 6, 12])
def test_a_modality_leads_only_by_more_rows_than_a_sign_test_needs(differ: int) -> None:
    text = np.ones(2000)
    audio = text.copy()
    audio[:differ] = 0
    result = verdict({"text": text, "audio": audio})
    assert (result.predominant == BALANCED) == (2 * comb(differ, 0) / 2**differ > 0.05)
    audio_standing = result.standings[-1]
    assert (audio_standing.gap_low is None) == (differ < 6)
    assert (audio_standing.gap_p or 0) >= smallest_p(differ)


def test_a_modality_that_is_right_where_the_other_is_wrong_leads_without_an_interval() -> None:
    result = verdict({"text": np.ones(50), "audio": np.zeros(50)})
    assert result.predominant == "text"
    assert (result.standings[0].low, result.standings[1].gap_low) == (None, None)
    assert verdict({"text": np.ones(4), "audio": np.zeros(4)}).predominant == BALANCED
