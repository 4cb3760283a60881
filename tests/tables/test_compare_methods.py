"""Comparisons of methods from made-up column values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from deconfound.statistics.student import paired_interval
from deconfound.tables.column_values import ColumnValues
from deconfound.tables.compare_methods import TableSettings, compare_methods

# Seeds 0 and 4 belong to one method alone, and seed 3 is undefined for one of them.
BASELINE = {0: 9.0, 1: 1.0, 2: 2.5, 3: 3.0, 5: 2.0}
METHOD = {1: 1.5, 2: 2.75, 3: None, 4: -7.0, 5: 3.0}
COMMON = (1, 2, 5)


def test_a_difference_and_its_test_use_the_common_seeds_alone() -> None:
    values = ColumnValues({"erm": BASELINE, "cmir": {k: v for k, v in METHOD.items() if v is not None}}, {}, 0, 0, "")
    cells = compare_methods(values, ["erm", "cmir"], "erm", TableSettings(), higher_is_better=True)
    ours, theirs = ([float(values.values[label][seed] or 0.0) for seed in COMMON] for label in ("cmir", "erm"))
    expected = stats.ttest_rel(ours, theirs)
    difference = cells["cmir"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert cells["cmir"].p_baseline == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert (difference.low, difference.high) == pytest.approx((low, high))


def test_methods_without_a_common_seed_are_not_compared() -> None:
    values = ColumnValues({"erm": {0: 1.0, 1: 2.0}, "cmir": {2: 5.0, 3: 6.0}}, {}, 0, 0, "")
    cell = compare_methods(values, ["erm", "cmir"], "erm", TableSettings(), higher_is_better=True)["erm"]
    assert cell.mark == "untested"
    cell = compare_methods(values, ["erm", "cmir"], "erm", TableSettings(), higher_is_better=True)["cmir"]
    assert (cell.difference, cell.p_baseline, cell.verdict) == (None, None, "")


def test_rows_are_resampled_for_the_common_seeds_alone() -> None:
    values = {"erm": {0: 5.0, 1: 1.0, 2: 2.0}, "cmir": {1: 2.0, 2: 2.5, 3: -5.0}}
    noise = np.random.default_rng(0).normal(0, 0.1, size=40)
    resampled = {(label, seed): value + noise for label, by_seed in values.items() for seed, value in by_seed.items()}
    cells = compare_methods(
        ColumnValues(values, resampled, 40, 40, "rows"), ["erm", "cmir"], "erm", TableSettings(), higher_is_better=True
    )
    difference = cells["cmir"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(0.75)


def test_the_interval_of_a_paired_difference_uses_the_common_defined_seeds() -> None:
    interval = paired_interval(METHOD, BASELINE)
    assert interval is not None
    assert interval.seeds == len(COMMON)
    assert interval.mean == pytest.approx(np.mean([0.5, 0.25, 1.0]))
