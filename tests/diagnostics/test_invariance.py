"""Invariance: one bin and one dimension is scipy's analysis of variance; sizes are those that were put in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from deconfound.diagnostics.invariance import Shift, risks, shift
from deconfound.diagnostics.invariance import _variances as variances
from deconfound.diagnostics.permuting import label_bins


def slow_variances(x: np.ndarray, env: np.ndarray, bins: np.ndarray) -> tuple[float, float]:
    """Cell by cell."""
    ratios, sizes = [], []
    for column in x.T:
        between = within = typical = 0.0
        freedom = inside = 0
        for b in np.unique(bins):
            rows = column[bins == b]
            cells = [column[(bins == b) & (env == e)] for e in np.unique(env[bins == b])]
            between += sum(len(c) * (c.mean() - rows.mean()) ** 2 for c in cells)
            within += sum(((c - c.mean()) ** 2).sum() for c in cells)
            freedom += len(cells) - 1
            inside += len(rows) - len(cells)
            typical += len(rows) - sum(len(c) ** 2 for c in cells) / len(rows)
        ratios.append((between / freedom) / (within / inside))
        sizes.append((ratios[-1] - 1) / (typical / freedom))
    return float(np.mean(sizes)), float(np.mean(ratios))


def test_variances_are_those_of_the_cells() -> None:
    rng = np.random.default_rng(0)
    x, env, bins = rng.normal(size=(80, 3)), rng.integers(0, 4, 80), rng.integers(0, 3, 80)
    assert variances(x, env, bins) == pytest.approx(slow_variances(x, env, bins))
    one = np.zeros(80, dtype=np.int64)
    f = stats.f_oneway(*(x[env == e, 0] for e in range(4))).statistic
    assert variances(x[:, :1], env, one)[1] == pytest.approx(f)


def test_the_size_of_a_shift_is_what_was_put_in() -> None:
    rng = np.random.default_rng(1)
    env, label = rng.integers(0, 40, 8000), rng.integers(0, 2, 8000)
    moved = rng.normal(size=40)
    moved = (moved - moved.mean()) / moved.std(ddof=1)
    x = rng.normal(size=(8000, 2)) * 3 + 5 * label[:, None] + 3 * 0.5 * moved[env][:, None]
    found = shift(x, env, label, None, permutations=19)
    assert isinstance(found, Shift)
    assert found.size == pytest.approx(0.5, abs=0.06)
    assert found.p == pytest.approx(0.05)


def test_labels_that_differ_between_environments_are_no_shift() -> None:
    rng = np.random.default_rng(2)
    env = rng.integers(0, 3, 600)
    y = rng.normal(size=600) + env
    x = 2 * y[:, None] + 0.5 * rng.normal(size=(600, 3))
    found = shift(x, env, label_bins(y, False, 3), y, permutations=99)
    assert isinstance(found, Shift)
    assert found.p > 0.05
    assert found.size < 0.1


def test_no_shift_where_there_is_nothing_to_compare() -> None:
    x, zeros = np.random.default_rng(0).normal(size=(40, 2)), np.zeros(40, dtype=np.int64)
    env = np.arange(40) % 2
    assert shift(x, zeros, zeros, None) == "there is one value only"
    assert shift(np.ones((40, 2)), env, zeros, None) == "it is constant"
    assert shift(x, env, env, None) == "no bin of the label has rows of two environments to compare"


def test_risks_of_environments() -> None:
    rng = np.random.default_rng(3)
    env = np.repeat([0, 1, 2], [50, 40, 3])
    values = rng.exponential(size=93) * np.where(env == 1, 3.0, 1.0)
    found = risks(values, env, ["a", "b", "c"], np.random.default_rng(0))
    assert [(each.environment, each.rows) for each in found.environments] == [("a", 50), ("b", 40)]
    means = [values[env == e].mean() for e in (0, 1)]
    assert [each.risk for each in found.environments] == pytest.approx(means)
    assert found.spread == pytest.approx(means[1] - means[0])
    assert found.worst == "b"
    assert found.left_out == 1
    assert found.p == pytest.approx(stats.kruskal(values[env == 0], values[env == 1]).pvalue)
    for each, mean in zip(found.environments, means, strict=True):
        assert each.low is not None
        assert each.high is not None
        half = 1.96 * values[env == found.environments.index(each)].std() / np.sqrt(each.rows)
        assert each.high - each.low == pytest.approx(2 * half, rel=0.25)
        assert each.low < mean < each.high


def test_equal_risks_and_one_environment() -> None:
    zeros = np.zeros(20, dtype=np.int64)
    one = risks(np.ones(20), zeros, ["a"], np.random.default_rng(0))
    assert (one.spread, one.p, one.worst, len(one.environments)) == (None, None, None, 1)
    two = risks(np.ones(20), np.arange(20) % 2, ["a", "b"], np.random.default_rng(0))
    assert (two.spread, two.p) == (0, 1)
