"""Comparisons of methods from made-up column values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from deconfound.statistics import Correction
from deconfound.statistics.student import paired_interval
from deconfound.tables.column_values import ColumnValues
from deconfound.tables.compare_methods import TableSettings, Test, compare_methods

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


def column_of(**by_method: list[float]) -> ColumnValues:
    return ColumnValues({label: dict(enumerate(values)) for label, values in by_method.items()}, {}, 0, 0, "")


@pytest.mark.parametrize("test", ["t", "permutation", "wilcoxon"])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_differences_of_few_seeds_are_untested(test: Test, seeds: int) -> None:
    erm = [0.55, 0.65, 0.7, 0.6, 0.75][:seeds]
    column = column_of(erm=erm, cmir=[value + 0.1 for value in erm])
    cells = compare_methods(column, ["erm", "cmir"], "erm", TableSettings(test=test), higher_is_better=True)
    assert (cells["cmir"].p_baseline, cells["erm"].p_best) == pytest.approx((2.0 ** (1 - seeds),) * 2)
    assert (cells["erm"].mark, cells["cmir"].mark) == ("untested", "best")
    assert (cells["cmir"].verdict, cells["cmir"].baseline_untested) == ("", True)


@pytest.mark.parametrize(("correction", "untested"), [("holm", True), ("bonferroni", True), ("none", False)])
def test_what_a_correction_puts_out_of_reach_is_untested(correction: Correction, untested: bool) -> None:
    erm = [0.5 + 0.01 * i for i in range(7)]  # equal differences of 7 seeds: p = 1 / 64
    others = {f"other{i}": [value + 0.1 * (i + 1) for value in erm] for i in range(4)}
    settings = TableSettings(correction=correction)
    cells = compare_methods(column_of(erm=erm, **others), ["erm", *others], "erm", settings, higher_is_better=True)
    for label in others:
        assert cells[label].baseline_untested == untested
        assert (cells[label].verdict == "better") == (not untested)


def test_a_difference_that_varies_is_tested_as_ever() -> None:
    erm, cmir = [0.50, 0.52, 0.49, 0.51, 0.50], [0.60, 0.63, 0.58, 0.61, 0.62]
    cells = compare_methods(
        column_of(erm=erm, cmir=cmir), ["erm", "cmir"], "erm", TableSettings(), higher_is_better=True
    )
    assert cells["cmir"].p_baseline == pytest.approx(stats.ttest_rel(cmir, erm).pvalue)
    assert (cells["cmir"].verdict, cells["erm"].mark) == ("better", "worse")


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
