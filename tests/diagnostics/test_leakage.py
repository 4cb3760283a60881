"""Leakage: the classifier against one fitted by hand for each draw, and what the test must find and must not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from deconfound.diagnostics.leakage import Leakage, held_out_hits, measure_leakage
from deconfound.diagnostics.permuting import label_bins


def test_hits_are_those_of_a_ridge_fitted_for_each_draw() -> None:
    rng = np.random.default_rng(0)
    x, fold = rng.normal(size=(30, 3)), np.arange(30) % 3
    draws = np.stack([rng.integers(0, 3, 30) for _ in range(4)])
    hits = held_out_hits(x, draws, fold, 3, 0.1)
    for hit, truth in zip(hits, draws, strict=True):
        for number in range(3):
            fit, held = fold != number, fold == number
            mean = x[fit].mean(axis=0)
            scores = []
            for name in range(3):
                share = (truth[fit] == name).mean()
                y = (truth[fit] == name) / share - 1
                centred = x[fit] - mean
                w = np.linalg.solve(centred.T @ centred + 0.1 * len(y) * np.eye(3), centred.T @ y)
                scores.append((x[held] - mean) @ w)
            assert np.array_equal(hit[held], np.argmax(scores, axis=0) == truth[held])


@pytest.mark.parametrize("kind", ["linear", "kernel"])
def test_an_environment_that_only_the_label_tells_is_no_leak(kind) -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 400)
    env = np.where(rng.random(400) < 0.85, label, 1 - label)  # the environments have other shares of labels
    part = rng.normal(size=(400, 4)) + 2 * label[:, None]
    clean = measure_leakage(part, env, label, None, kind=kind, permutations=99, resamples=100)
    leaky = measure_leakage(part + 0.7 * env[:, None], env, label, None, kind=kind, permutations=99, resamples=100)
    assert isinstance(clean, Leakage)
    assert isinstance(leaky, Leakage)
    assert clean.p > 0.05
    assert leaky.p == pytest.approx(0.01)
    assert leaky.low is not None
    assert leaky.low > leaky.chance == 0.5
    assert (clean.rows, clean.environments, clean.bins, clean.unit) == (400, 2, 2, "rows")


def test_a_real_label_that_moves_with_the_environment_is_no_leak() -> None:
    rng = np.random.default_rng(4)
    env = rng.integers(0, 3, 500)
    y = rng.normal(size=500) + 0.8 * env
    part = y[:, None] * np.array([1.0, -2.0]) + 0.5 * rng.normal(size=(500, 2))
    found = measure_leakage(part, env, label_bins(y, False, 3), y, kind="linear", permutations=99, resamples=10)
    assert isinstance(found, Leakage)
    assert found.p > 0.05


def test_p_is_uniform_where_there_is_no_leak() -> None:
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y, env = rng.normal(size=120), rng.integers(0, 3, 120)
        part = y[:, None] * rng.normal(size=3) + rng.standard_t(3, size=(120, 3))
        found = measure_leakage(
            part, env, label_bins(y, False, 3), y, kind="linear", permutations=39, resamples=2, seed=seed
        )
        assert isinstance(found, Leakage)
        values.append(found.p)
    assert np.mean(np.array(values) <= 0.1) < 0.22  # binomial(60, 0.1) is above 13 once in 10,000
    assert 0.38 < np.mean(values) < 0.64


def test_groups_are_the_evidence_where_each_has_one_environment() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(12), 20)
    env = groups % 2
    part = rng.normal(size=(12, 3))[groups] + 0.2 * rng.normal(size=(240, 3))  # tells the group, not the environment
    bins = np.zeros(240, dtype=np.int64)
    by_rows = measure_leakage(part, env, bins, None, kind="linear", permutations=99, resamples=10)
    by_groups = measure_leakage(part, env, bins, None, kind="linear", groups=groups, permutations=99, resamples=10)
    assert isinstance(by_rows, Leakage)
    assert isinstance(by_groups, Leakage)
    assert (by_rows.unit, by_groups.unit) == ("rows", "groups")
    assert by_rows.p == pytest.approx(0.01)
    assert by_groups.p > 0.05


def test_one_environment_has_no_leak_and_says_so() -> None:
    zeros = np.zeros(40, dtype=np.int64)
    assert measure_leakage(np.ones((40, 2)), zeros, zeros, None, kind="linear") == "there is one value only"


def test_the_score_is_balanced() -> None:
    rng = np.random.default_rng(6)
    env = (rng.random(300) < 0.1).astype(int)
    part = rng.normal(size=(300, 2)) + 1.5 * env[:, None]
    found = measure_leakage(part, env, np.zeros(300, dtype=np.int64), None, kind="linear", permutations=9, resamples=10)
    assert isinstance(found, Leakage)
    assert found.score > 0.7 > balanced_accuracy_score(env, np.zeros(300))
