"""Tables over folds: cells against NumPy and SciPy, the worst fold, and what never shares a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deconfound.errors import RunError
from deconfound.results.run_result import read_run
from deconfound.tables import ComparisonTable, TableSettings, build_tables, to_latex, to_markdown
from support.fold_runs import folds
from support.table_runs import recorded, rows_of_csv


def values(root: Path, method: str, scenario: str, folds_: int = 5, seeds: int = 2) -> np.ndarray:
    """(folds, seeds) recorded errors."""
    return np.array(
        [
            [recorded(root / f"{method}-{number}-{seed}", scenario, "mse")[0] for seed in range(seeds)]
            for number in range(1, folds_ + 1)
        ]
    )


def only(paths: list[Path], **settings: object) -> ComparisonTable:
    (table,) = build_tables(paths, TableSettings(**settings))
    return table


def test_a_cell_is_over_folds_of_the_means_over_seeds(tmp_path):
    table = only(folds(tmp_path))
    assert (table.dataset, table.folds) == ("made", tuple(f"speaker=s{n}" for n in range(1, 6)))
    assert [column.title for column in table.columns] == ["mse test", "mse test worst fold", "mse test-iid"]
    for line in table.lines:
        own = values(tmp_path, line.label, "test").mean(axis=1)
        cell = line.cells[0]
        assert (cell.spread.mean, cell.spread.sd) == pytest.approx((own.mean(), own.std(ddof=1)))
        low, high = stats.t.interval(0.95, 4, own.mean(), stats.sem(own))
        assert cell.interval is not None
        assert (cell.interval.low, cell.interval.high) == pytest.approx((low, high))


def test_differences_are_paired_by_fold(tmp_path):
    table = only(folds(tmp_path), baseline="erm")
    ours, theirs = (values(tmp_path, method, "test").mean(axis=1) for method in ("cmir", "erm"))
    cell = {line.label: line.cells[0] for line in table.lines}["cmir"]
    test = stats.ttest_rel(ours, theirs)
    assert cell.p_baseline == pytest.approx(test.pvalue)
    assert cell.difference is not None
    interval = test.confidence_interval()
    found = (cell.difference.mean, cell.difference.low, cell.difference.high)
    assert found == pytest.approx(((ours - theirs).mean(), interval.low, interval.high))
    assert cell.verdict == "better"


def test_the_worst_fold_is_that_of_each_seed(tmp_path):
    table = only(folds(tmp_path))
    for line in table.lines:
        worst = values(tmp_path, line.label, "test").max(axis=0)  # of an error the largest
        cell = line.cells[1]
        assert (cell.spread.mean, cell.spread.sd) == pytest.approx((worst.mean(), worst.std(ddof=1)))
        assert (cell.interval, cell.mark) == (None, "")


def test_a_method_that_lacks_a_fold_says_so_and_is_not_tested(tmp_path):
    paths = [path for path in folds(tmp_path) if not path.name.startswith("cmir-2")]
    table = only(paths)
    cell = {line.label: line.cells for line in table.lines}["cmir"]
    assert (cell[0].spread.defined, cell[0].spread.total) == (4, 5)
    assert cell[0].p_baseline is None
    assert "(4 of 5 folds)" in to_markdown(table)
    assert cell[1].spread.mean is None


def test_the_text_says_what_is_averaged_and_what_is_left_out(tmp_path):
    text = to_markdown(only(folds(tmp_path)))
    assert "5 folds, leave-one-group-out by speaker: speaker=s1, speaker=s2" in text
    assert "Each is the mean over its seeds 0, 1, and counts once." in text
    assert "Mean ± standard deviation over folds" in text
    assert "paired t-test over folds" in text
    assert "the intervals take the folds as independent" in text
    assert "worst fold: mean ± standard deviation over seeds of the worst fold of each seed; not tested." in text
    assert "worst fold" in to_latex(only(folds(tmp_path / "again")))


def test_an_exact_test_is_over_folds(tmp_path):
    table = only(folds(tmp_path), test="wilcoxon")
    ours, theirs = (values(tmp_path, method, "test").mean(axis=1) for method in ("cmir", "erm"))
    cell = {line.label: line.cells[0] for line in table.lines}["cmir"]
    assert cell.p_baseline == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)
    assert "With 5 folds this test gives p ≥ 0.0625" in to_markdown(table)


def test_csv_names_the_folds(tmp_path):
    rows = rows_of_csv(only(folds(tmp_path)))
    assert {row["folds"] for row in rows} == {"5"}
    assert [row["unit"] for row in rows[:3]] == ["folds", "", "folds"]
    assert {row["group"] for row in rows} == {"all", "worst fold"}
    assert {row["rows"] for row in rows} == {str(5 * 120)}


def test_other_declarations_and_other_protocols_have_tables_of_their_own(tmp_path):
    other = {"kind": "k-fold", "group": [], "folds": 5}
    paths = [*folds(tmp_path / "a"), *folds(tmp_path / "b", {"erm": (0.5, 0.4)}, spec=other)]
    tables = build_tables(paths)
    assert [(len(table.folds), table.folded) for table in tables] == [
        (5, "leave-one-group-out by speaker"),
        (2, "k-fold"),
    ]


def test_one_fold_alone_is_a_table_over_seeds(tmp_path):
    table = only([path for path in folds(tmp_path) if "-3-" in path.name])
    assert (table.dataset, table.folds) == ("made, speaker=s3", ())


def test_a_damaged_note_is_refused(tmp_path):
    (path, *_) = folds(tmp_path)
    environment = json.loads((path / "environment.json").read_text())
    for broken in ({"of": 3}, [], {**environment["data"]["fold"], "number": "1"}, {"of": "made", "spec": None}):
        environment["data"]["fold"] = broken
        (path / "environment.json").write_text(json.dumps(environment))
        with pytest.raises(RunError, match="damaged"):
            read_run(path)
