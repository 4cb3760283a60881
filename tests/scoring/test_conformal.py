"""Split conformal prediction: the finite-sample algebra, a slow second implementation, and coverage in simulations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from deconfound.errors import DataError
from deconfound.scoring.conformal import (
    conformal_threshold,
    fewest_rows,
    fit_conformal,
    interval_scores,
    intervals,
    prediction_sets,
    set_scores,
)


@given(st.integers(1, 40), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(0, 5))
def test_coverage_is_exact_over_the_rows_that_may_be_the_new_one(count, level, seed):
    scores = np.random.default_rng(seed).permutation(count + 1).astype(float)
    held = [scores[new] <= conformal_threshold(np.delete(scores, new), level) for new in range(count + 1)]
    rank = math.ceil(round((count + 1) * level, 9))
    assert sum(held) == min(rank, count + 1)
    assert level <= np.mean(held) + 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.75, 0.9]))
def test_the_threshold_is_the_smallest_that_enough_scores_respect(scores, level):
    values = np.array(scores)
    enough = [t for t in sorted(values) if (values <= t).sum() >= (len(values) + 1) * level - 1e-9]
    assert conformal_threshold(values, level) == (enough[0] if enough else math.inf)


def test_the_fewest_rows_are_those_with_a_finite_threshold():
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        fewest = fewest_rows(level)
        assert math.isfinite(conformal_threshold(np.arange(fewest), level))
        assert math.isinf(conformal_threshold(np.arange(fewest - 1), level))


def test_intervals_hold_the_labels_whose_error_is_within_the_threshold():
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(50, 1)), rng.normal(size=50)
    thresholds = rng.uniform(0, 2, size=50)
    low, high = intervals(output, thresholds)
    inside = (low <= target) & (target <= high)
    assert (inside == (interval_scores(output, target) <= thresholds)).all()


def test_sets_are_the_loop_over_classes():
    rng = np.random.default_rng(0)
    logits, thresholds = rng.normal(size=(30, 4)), rng.uniform(0, 1, size=30)
    sets = prediction_sets(logits, thresholds)
    for row in range(30):
        share = softmax(logits[row])
        assert [c for c in range(4) if 1 - share[c] <= thresholds[row]] == np.flatnonzero(sets[row]).tolist()
        for c in range(4):
            assert set_scores(logits[[row]], np.array([c]))[0] == pytest.approx(1 - share[c])


def test_coverage_in_distribution_is_nominal_and_that_of_each_group_with_its_own_thresholds():
    rng = np.random.default_rng(0)
    spread = {"calm": 1.0, "wild": 4.0}
    groups = rng.choice([*spread], size=8000)
    scores = np.abs(rng.normal(size=8000)) * np.array([spread[group] for group in groups])
    half = 4000
    for by_group in (False, True):
        fitted = fit_conformal(scores[:half], 0.9, groups[:half].tolist() if by_group else None)
        held = scores[half:] <= fitted.of(groups[half:].tolist() if by_group else None, half)
        assert held.mean() == pytest.approx(0.9, abs=0.02)
        by_name = {group: held[groups[half:] == group].mean() for group in spread}
        if by_group:
            assert all(value == pytest.approx(0.9, abs=0.02) for value in by_name.values())
        else:
            assert by_name["calm"] > 0.95 > 0.87 > by_name["wild"]


def test_a_group_with_too_few_rows_or_none_has_the_common_threshold():
    scores = np.arange(30.0)
    fitted = fit_conformal(scores, 0.9, ["many"] * 25 + ["few"] * 5)
    assert set(fitted.by_group) == {"many"}
    assert fitted.of(["many", "few", "never"], 3).tolist() == [
        conformal_threshold(scores[:25], 0.9),
        fitted.threshold,
        fitted.threshold,
    ]


@pytest.mark.parametrize(("level", "message"), [(1.0, "between 0 and 1"), (0.99, "needs 99 validation rows")])
def test_impossible_levels_are_refused(level, message):
    with pytest.raises(DataError, match=message):
        fit_conformal(np.arange(20.0), level)
