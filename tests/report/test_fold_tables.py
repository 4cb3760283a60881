"""Folds in a report: cells against NumPy and SciPy, and the page that shows them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from deconfound.report.fold_tables import folds_parts
from deconfound.report.page import render
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import collect_runs
from support.fold_runs import NOISE, folds
from support.table_runs import recorded


def test_a_line_holds_mean_worst_difference_and_each_fold(tmp_path):
    sections = build_sections(collect_runs(folds(tmp_path)).runs)
    (part,) = folds_parts(sections)
    assert (part.dataset, [table.caption[:37] for table in part.tables]) == (
        "made",
        ["mse (lower is better) on test, mean ±", "mse (lower is better) on test-iid, me"],
    )
    assert part.intro.startswith("5 folds, leave-one-group-out by speaker.")
    table = part.tables[0]
    assert [column.title for column in table.columns][:4] == ["mean", "worst", "− erm", "speaker=s1"]
    own = {
        method: np.array(
            [np.mean([recorded(tmp_path / f"{method}-{n}-{s}", "test", "mse")[0] for s in (0, 1)]) for n in range(1, 6)]
        )
        for method in NOISE
    }
    erm, cmir = table.lines
    assert (erm.cells[0].value, erm.cells[0].sd) == pytest.approx((own["erm"].mean(), own["erm"].std(ddof=1)))
    assert (erm.cells[1].value, erm.cells[1].note) == (pytest.approx(own["erm"].max()), "speaker=s4")
    assert [cell.value for cell in cmir.cells[3:]] == pytest.approx(own["cmir"].tolist())
    interval = stats.ttest_rel(own["cmir"], own["erm"]).confidence_interval()
    assert cmir.cells[2].value == pytest.approx((own["cmir"] - own["erm"]).mean())
    assert cmir.cells[2].detail == f"[{interval.low:.3f}, {interval.high:.3f}]".replace("-", "−")


def test_a_method_that_lacks_a_fold_says_so(tmp_path):
    paths = [path for path in folds(tmp_path) if not path.name.startswith("cmir-2")]
    (part,) = folds_parts(build_sections(collect_runs(paths).runs))
    mean, worst, *_ = part.tables[0].lines[1].cells
    assert (mean.note, worst.text) == ("4 of 5 folds defined", "undefined")


def test_the_page_shows_the_folds_and_other_pages_have_no_such_part(tmp_path):
    sections = build_sections(collect_runs(folds(tmp_path)).runs)
    assert "Folds of made" in render(sections)
    assert "Folds of" not in render(sections[:1])


def test_groups_that_were_left_out_are_not_in_distribution(tmp_path):
    alone = build_sections(collect_runs(folds(tmp_path / "a", splits=("test",))).runs)
    assert {(section.in_split, section.out_splits) for section in alone} == {(None, ("test",))}
    beside = build_sections(collect_runs(folds(tmp_path / "b")).runs)
    assert {(section.in_split, section.out_splits) for section in beside} == {("test-iid", ("test",))}
    rows = {"kind": "k-fold", "group": [], "folds": 5}
    single = build_sections(collect_runs(folds(tmp_path / "c", splits=("test",), spec=rows)).runs)
    assert {section.in_split for section in single} == {"test"}
    assert "Folds of made" in render(alone)
