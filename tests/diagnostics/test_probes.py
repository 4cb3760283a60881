"""Probes: scores against scikit-learn, folds against what they must keep apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from deconfound.diagnostics.probes import (
    FOLDS,
    ProbeResult,
    balanced_accuracy,
    cross_validate,
    fold_of,
    interval,
    percentiles,
)
from deconfound.metrics.r2 import R2


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_weighted_scores_are_those_of_repeated_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 3, 30), rng.integers(0, 3, 30)
    weights = rng.integers(0, 3, (4, 30))
    drawn = [np.repeat(np.arange(30), row) for row in weights]
    ours = balanced_accuracy(predicted == truth, truth)(weights.astype(float))
    for value, rows in zip(ours, drawn, strict=True):
        if set(truth[rows]) == set(truth):
            assert value == pytest.approx(balanced_accuracy_score(truth[rows], np.r_[predicted[rows]]), abs=1e-12)
    y, guess = rng.normal(size=30), rng.normal(size=30)
    theirs = [r2_score(y[rows], guess[rows]) for rows in drawn]
    assert R2().weighted(guess, y)(weights.astype(float)) == pytest.approx(theirs)


@given(clusters=st.lists(st.integers(0, 12), min_size=5, max_size=60), seed=st.integers(0, 50))
def test_folds_keep_clusters_whole_and_spread_strata(clusters: list[int], seed: int) -> None:
    groups = np.array(clusters)
    strata = groups % 2  # each cluster is of one stratum
    fold = fold_of(strata, groups, np.random.default_rng(seed))
    assert all(len(set(fold[groups == g])) == 1 for g in set(clusters))
    for stratum in (0, 1):
        firsts = [fold[clusters.index(g)] for g in set(clusters) if g % 2 == stratum]
        counts = np.bincount(firsts, minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


def test_a_linear_probe_is_logistic_regression_on_the_other_folds() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 4)) + 0.7 * np.eye(4)[y]
    found = cross_validate(x, y, classify=True, kind="linear", seed=3)
    assert isinstance(found, ProbeResult)
    fold = fold_of(y, np.arange(90), np.random.default_rng(3))
    predicted = np.empty(90, dtype=int)
    for number in range(FOLDS):
        scale = StandardScaler().fit(x[fold != number])
        model = LogisticRegression(C=1 / (0.01 * (fold != number).sum()), class_weight="balanced", max_iter=300)
        model.fit(scale.transform(x[fold != number]), y[fold != number])
        predicted[fold == number] = model.predict(scale.transform(x[fold == number]))
    assert found.score == pytest.approx(balanced_accuracy_score(y, predicted))
    assert found.chance == pytest.approx(1 / 3)
    low, high = interval(found, np.random.default_rng(0), 200)
    assert low is not None
    assert high is not None
    assert found.chance < low < found.score < high


@pytest.mark.parametrize("kind", ["linear", "kernel"])
def test_a_part_without_the_label_is_not_above_chance(kind) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 6)), rng.normal(size=300)
    found = cross_validate(x, y, classify=False, kind=kind)
    assert isinstance(found, ProbeResult)
    assert found.score < 0.02
    hidden = cross_validate(x, np.sign(x[:, 0] * x[:, 1]).astype(int), classify=True, kind=kind)
    assert isinstance(hidden, ProbeResult)
    assert (hidden.score > 0.7) == (kind == "kernel")


def test_what_a_group_alone_shows_is_not_found_in_new_groups() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 10)
    y = rng.normal(size=20)[groups] + 0.1 * rng.normal(size=200)
    x = np.eye(20)[groups] + 0.05 * rng.normal(size=(200, 20))
    alone = cross_validate(x, y, classify=False, kind="linear")
    whole = cross_validate(x, y, classify=False, kind="linear", groups=groups)
    assert isinstance(alone, ProbeResult)
    assert isinstance(whole, ProbeResult)
    assert alone.score > 0.9 > 0.2 > whole.score
    assert (alone.grouped, whole.grouped) == (False, True)
    each = cross_validate(x, groups, classify=True, kind="linear", groups=groups)
    assert isinstance(each, ProbeResult)
    assert not each.grouped  # a class with one group cannot be held out


def test_a_probe_says_why_there_is_none() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    assert cross_validate(x[:19], np.arange(19.0), classify=False, kind="linear") == "too few rows (19; 20 are needed)"
    assert cross_validate(x, np.zeros(30, int), classify=True, kind="linear") == "there is one value only"
    rare = np.r_[np.zeros(26, int), np.ones(4, int)]
    assert cross_validate(x, rare, classify=True, kind="linear") == "there is one value only"
    assert "too few rows (0" in str(cross_validate(x[:0], rare[:0], classify=True, kind="kernel"))


def test_a_perfect_probe_of_few_rows_may_be_wrong_on_others() -> None:
    truth = np.repeat([0, 1], [24, 8])
    perfect = ProbeResult(np.arange(32), np.ones(32, dtype=bool), truth, np.arange(32), False, True)
    low, high = interval(perfect, np.random.default_rng(0), 200)
    of_smallest = binomtest(8, 8).proportion_ci(method="exact").low
    assert (low, high) == (pytest.approx((1 + of_smallest) / 2), 1.0)


@pytest.mark.parametrize("clusters", [2, 5, 6])
def test_fewer_than_six_clusters_have_no_interval(clusters: int) -> None:
    rng = np.random.default_rng(0)
    truth, whole = np.arange(60) % 2, np.arange(60) % (2 * clusters) // 2
    probe = ProbeResult(np.arange(60), rng.random(60) < 0.9, truth, whole, True, True)
    assert (interval(probe, rng, 200)[0] is None) == (clusters < 6)
    perfect = replace(probe, hits=np.ones(60, dtype=bool))
    assert (interval(perfect, rng, 200)[0] is None) == (clusters < 6)


def test_resamples_that_do_not_vary_have_no_percentiles() -> None:
    assert percentiles(np.full(100, 0.3), 50) == (None, None)
    assert percentiles(np.where(np.arange(100) < 51, np.nan, 0.3), 50) == (None, None)
