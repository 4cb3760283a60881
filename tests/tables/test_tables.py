"""Tables from run directories: what is in a cell, what is marked, what is said, and the three formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deconfound.data.store import save
from deconfound.errors import DataError, RunError, SpecError
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import read_records, write_records
from deconfound.evaluation.scenario import Scenario
from deconfound.metrics.aurc import AURC
from deconfound.metrics.ece import ECE
from deconfound.results.collect_runs import RunFilter
from deconfound.tables import TableSettings, build_tables, to_csv, to_markdown
from support.small import small_run, tiny
from support.table_runs import FEW, LEVELS, ROWS, grid, one, recorded, rows_of_csv, write_run


def test_cells_hold_mean_and_deviation_over_seeds_and_the_interval_spans_them(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3})
    table = one(paths)
    assert [column.scenario for column in table.columns] == ["test-iid", "test-flip"]
    assert [(line.label, line.seeds) for line in table.lines] == [("erm", (0, 1, 2, 3)), ("cmir", (0, 1, 2, 3))]
    values = [recorded(path, "test-flip", "mse")[0] for path in paths[:4]]
    cell = table.lines[0].cells[1]
    assert (cell.spread.mean, cell.spread.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert cell.interval is not None
    assert cell.interval.unit == "rows and seeds"
    assert (cell.interval.low or 0) < min(values) < max(values) < (cell.interval.high or 0)
    assert table.rows == (ROWS, ROWS)
    assert table.units == ("rows", "rows")


def test_the_better_method_is_best_and_the_other_is_called_worse_than_it_and_than_the_baseline(tmp_path: Path) -> None:
    table = one(grid(tmp_path, {"erm": 0.5, "cmir": 0.3, "twin": 0.5}))
    cells = {line.label: line.cells[0] for line in table.lines}
    assert table.baseline == "erm"
    assert {label: cell.mark for label, cell in cells.items()} == {"erm": "worse", "cmir": "best", "twin": "worse"}
    assert {label: cell.verdict for label, cell in cells.items()} == {"erm": "", "cmir": "better", "twin": ""}
    assert cells["erm"].difference is None
    assert cells["cmir"].difference is not None
    assert cells["cmir"].difference.mean < 0


def test_methods_that_are_not_told_apart_are_marked_and_holm_counts_them(tmp_path: Path) -> None:
    table = one(grid(tmp_path, {"erm": 0.5, "a": 0.5, "b": 0.5}))
    for column in range(2):
        cells = [line.cells[column] for line in table.lines]
        assert sorted(cell.mark for cell in cells) == ["best", "tied", "tied"]
        p = [cell.p_baseline or 0.0 for cell in cells[1:]]
        holm = [2 * value if value == min(p) else max(2 * min(p), value) for value in p]
        assert [cell.p_baseline_corrected for cell in cells[1:]] == pytest.approx(np.minimum(1, holm).tolist())


def test_without_rows_the_test_is_scipys_paired_t_test(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.45})
    table = one(paths, resamples=0)
    ours, theirs = (
        [recorded(tmp_path / f"{method}-{seed}", "test-iid", "mse")[0] for seed in range(4)]
        for method in ("cmir", "erm")
    )
    cell = table.lines[1].cells[0]
    assert cell.p_baseline == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert "over seeds alone (rows as given)" in to_markdown(table)
    wilcoxon = one(paths, test="wilcoxon").lines[1].cells[0]
    flips = one(paths, test="permutation").lines[1].cells[0]
    assert wilcoxon.p_baseline == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)
    assert flips.p_baseline == pytest.approx(
        stats.permutation_test((np.subtract(ours, theirs),), np.mean, permutation_type="samples").pvalue
    )


def test_few_seeds_and_an_exact_test_are_called_powerless(tmp_path: Path) -> None:
    table = one(grid(tmp_path, {"erm": 0.5, "cmir": 0.1}), test="permutation")
    assert table.lines[1].cells[0].verdict == ""
    assert "With 4 seeds this test gives p ≥ 0.125 before the correction and can find nothing" in to_markdown(table)


def test_one_seed_has_an_interval_over_rows_and_no_test(tmp_path: Path) -> None:
    table = one(grid(tmp_path, {"erm": 0.5, "cmir": 0.1}, seeds=1))
    cells = [line.cells[0] for line in table.lines]
    assert [cell.mark for cell in cells] == ["untested", "best"]
    assert {cell.interval.unit for cell in cells if cell.interval} == {"rows"}
    text = to_markdown(table)
    assert "Nothing is tested: that takes two or more common seeds" in text
    assert "significantly" not in text


def test_a_curve_is_its_area_and_one_severity_is_its_mean_over_repeats(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5}, seeds=2)
    table = one(paths, scenarios=("gaussian", "gaussian@0.5"))
    levels = (0.0, *LEVELS)
    for path, seed in zip(paths, (0, 1), strict=True):
        clean = recorded(path, "test-iid", "mse")
        heights = [np.mean(clean), *(np.mean(recorded(path, "gaussian", "mse", level)) for level in LEVELS)]
        area = np.trapezoid(heights, levels) / 2
        single = one([path], scenarios=("gaussian", "gaussian@0.5")).lines[0].cells
        assert single[0].spread.mean == pytest.approx(area), seed
        assert single[1].spread.mean == pytest.approx(heights[1])
    assert "gaussian: area under the curve over severity 0 to 2 of test-iid, divided by 2." in to_markdown(table)


def test_the_curve_of_some_rows_does_not_begin_with_all_rows(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a")
    table = one([path], scenarios=("half",))
    heights = [recorded(path, "half", "mse", level)[0] for level in LEVELS]
    assert table.lines[0].cells[0].spread.mean == pytest.approx(np.trapezoid(heights, LEVELS) / 1.5)
    assert "half: area under the curve over severity 0.5 to 2 of test-iid, divided by 1.5." in to_markdown(table)
    with pytest.raises(SpecError, match="no scenario 'halv' was evaluated; did you mean 'half'"):
        one([path], scenarios=("halv",))


def test_calibration_comes_from_the_predictions(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", protocol="classification")
    table = one([path], metrics=("accuracy", "ece", "aurc"), scenarios=("test-iid",))
    kept = load_predictions(path / "predictions" / "test-iid.npz")
    found = [cell.spread.mean for cell in table.lines[0].cells]
    assert found[1:] == pytest.approx([metric.value(kept.output[0, 0], kept.target) for metric in (ECE(), AURC())])
    assert found[0] == recorded(path, "test-iid", "accuracy")[0]
    assert "ece test-iid ↓" in to_markdown(table)


def test_without_predictions_and_for_groups_the_records_serve_and_seeds_alone_are_tested(tmp_path: Path) -> None:
    bare = one(grid(tmp_path / "bare", {"erm": 0.5, "cmir": 0.3}, keep=False))
    assert bare.lines[0].cells[0].interval is not None
    assert bare.lines[0].cells[0].interval.unit == "seeds"
    assert "over seeds alone (no predictions are kept)" in to_markdown(bare)
    paths = grid(tmp_path / "kept", {"erm": 0.5, "cmir": 0.3})
    worst = one(paths, group="worst(speaker)")
    expected = np.mean([recorded(path, "test-iid", "mse", group="worst(speaker)")[0] for path in paths[:4]])
    assert worst.lines[0].cells[0].spread.mean == pytest.approx(expected)
    assert "mse test-iid worst(speaker)" in to_markdown(worst)


def test_an_undefined_metric_is_said_and_cannot_be_best(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3})
    broken = [write_run(tmp_path / f"flat-{s}", method="flat", seed=s, constant=s > 0) for s in range(4)]
    table = one([*paths, *broken], metrics=("corr",))
    flat = table.lines[2].cells[0]
    assert (flat.spread.defined, flat.spread.total, flat.interval, flat.mark) == (1, 4, None, "")
    assert "(1 of 4 seeds)" in to_markdown(table)
    none = one(broken[1:], metrics=("corr",))
    assert "| undefined |" in to_markdown(none)
    assert {row["mean"] for row in rows_of_csv(none)} == {""}


def test_protocols_and_datasets_never_share_a_table(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / "a", protocol="regression"),
        write_run(tmp_path / "b", protocol="mmsa-regression", dataset="mosi"),
        write_run(tmp_path / "c", protocol="mag-nonzero", dataset="mosi"),
    ]
    tables = build_tables(paths, TableSettings(metrics=("mae",), resamples=FEW))
    assert [(table.dataset, table.protocol) for table in tables] == [
        ("made", "regression"),
        ("mosi", "mmsa-regression"),
        ("mosi", "mag-nonzero"),
    ]
    assert all(len(table.lines) == 1 for table in tables)
    assert len(build_tables(paths, TableSettings(metrics=("acc-7",), resamples=FEW))) == 2


def test_only_the_wanted_methods_get_lines_and_count_in_corrections(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3, "imml": 0.45, "other": 0.9})
    few = one(paths, only=RunFilter(methods=("erm", "imml")))
    assert [line.label for line in few.lines] == ["erm", "imml"]
    assert few == one([path for path in paths if path.name.startswith(("erm", "imml"))], only=few.settings.only)
    assert few.lines[1].cells[0].p_baseline_corrected == few.lines[1].cells[0].p_baseline


BUDGETS = [
    ({"draws": 3, "seeds": 5, "judging_seeds": 1}, "3 draws judged by 1 of 5 seeds"),
    ({"draws": 3, "seeds": 5}, "3 draws judged by 5 of 5 seeds"),
    ({"draws": 1, "seeds": 5, "judging_seeds": 5}, "one configuration, the default"),
    (
        {"draws": 3, "seeds": 5, "judging_seeds": 1, "rule": "leave-one-environment-out"},
        "3 draws judged by 1 seed for each left-out environment",
    ),
]


def test_a_sweep_gives_its_chosen_runs_and_an_oracle_is_loud(tmp_path: Path) -> None:
    grid(tmp_path / "runs", {"erm": 0.5, "cmir": 0.3, "loser": 0.9}, seeds=2)
    chosen = [{"dataset": "made", "method": m, "runs": [f"{m}-0", f"{m}-1"]} for m in ("erm", "cmir")]
    (tmp_path / "sweep.json").write_text("{}")
    (tmp_path / "selection.json").write_text(json.dumps({"rule": "worst-group", "chosen": chosen}))
    table = one([tmp_path])
    assert [line.label for line in table.lines] == ["erm", "cmir"]
    assert "Selection: worst-group, on validation rows alone." in to_markdown(table)
    for budget, said in BUDGETS:
        text = json.dumps({"rule": "worst-group", "budget": {"rule": "worst-group"} | budget, "chosen": chosen})
        (tmp_path / "selection.json").write_text(text)
        assert f"Selection: worst-group, on validation rows alone; {said}." in to_markdown(one([tmp_path]))
    (tmp_path / "selection.json").write_text(json.dumps({"rule": "oracle", "chosen": chosen}))
    text = to_markdown(one([tmp_path]))
    assert "| cmir \\[ORACLE\\] |" in text
    assert "Selection: ORACLE, made on test rows" in text
    assert "on validation rows alone" not in text


def test_wrong_names_are_refused_with_the_right_ones(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, seeds=1)
    for settings, message in [
        ({"metrics": ("mze",)}, "has a metric 'mze'; did you mean 'mse'"),
        ({"scenarios": ("test-fip",)}, "no scenario 'test-fip' was evaluated; did you mean 'test-flip'"),
        ({"scenarios": ("gaussian@3",)}, "no scenario 'gaussian@3' was evaluated"),
        ({"scenarios": ("valid",)}, "no scenario 'valid'"),
        ({"group": "worst(room)"}, "no group 'worst\\(room\\)'; did you mean 'worst\\(speaker\\)'"),
        ({"baseline": "ermm"}, "no run is called 'ermm', the baseline; did you mean 'erm'"),
        ({"test": "z"}, "there is no 'z'"),
        ({"level": 1.0}, "level lies in \\(0, 1\\)"),
        ({"resamples": 1}, "resamples are 0 or 2"),
    ]:
        with pytest.raises(SpecError, match=message):
            one(paths, **settings)
    with pytest.raises(RunError, match="not a run directory"):
        one([tmp_path / "none"])


def test_a_baseline_is_a_label_a_method_or_none(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / f"{n}{s}", method="erm", name=n, seed=s) for n in ("wide", "deep") for s in (0, 1)]
    assert one(paths).baseline is None
    assert one(paths, baseline="deep").baseline == "deep"
    with pytest.raises(SpecError, match="'erm' fits several rows; choose a baseline among: wide, deep"):
        one(paths, baseline="erm")
    both = grid(tmp_path / "more", {"erm": 0.5, "cmir": 0.4}, seeds=2)
    assert one(both, baseline="none").baseline is None
    assert one(both, baseline="cmir").baseline == "cmir"
    assert "Baseline: none." in to_markdown(one(both, baseline="none"))


def test_predictions_of_other_rows_or_values_are_refused(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, seeds=2)
    write_run(tmp_path / "cmir-1", method="cmir", seed=1, rows=ROWS - 20)
    with pytest.raises(RunError, match=r"of erm \(seed 0\) and cmir \(seed 1\) is about other rows"):
        one(paths)
    write_run(tmp_path / "cmir-1", method="cmir", seed=1)
    records = read_records(tmp_path / "cmir-1" / "records.jsonl")
    changed = [type(r)(**{**vars(r), "value": 0.1 if r.metric == "mse" else r.value}) for r in records]
    write_records(tmp_path / "cmir-1" / "records.jsonl", changed)
    with pytest.raises(RunError, match=r"the predictions give mse test-iid = .* records 0\.1"):
        one(paths)


def test_tables_are_the_same_each_time_and_follow_their_seed(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, seeds=2)
    assert to_csv(one(paths)) == to_csv(one(paths))
    assert to_csv(one(paths)) != to_csv(one(paths, seed=1))


def test_rows_of_one_speaker_are_drawn_together(tmp_path: Path) -> None:
    n = 36
    people = {
        "id": [f"r{i}" for i in range(n)],
        "speaker": [f"s{i // 3}" for i in range(n)],
        "room": ["a", "b"] * (n // 2),
    }
    home = save(tiny(n, metadata=people, group=("speaker",)), tmp_path / "store")
    runs = [small_run(tmp_path / f"erm-{seed}", data={"store": str(home)}, seed=seed) for seed in (0, 1)]
    for run in runs:
        run.evaluate([Scenario("test", "test")])
    paths = [run.path for run in runs]
    grouped = one(paths)
    assert grouped.units == ("rows in clusters of speaker",)
    assert "over seeds" not in to_markdown(grouped).partition("Test:")[2]  # one method: nothing is tested
    assert one(paths, clusters="room").units == ("rows in clusters of room",)
    with pytest.raises(DataError, match="no metadata column 'rom'; did you mean 'room'"):
        one(paths, clusters="rom")
    moved = home.rename(tmp_path / "elsewhere")
    assert one(paths).units == ("rows, taken as independent since the store is not at hand",)
    assert one(paths, store=moved).units == grouped.units
    assert to_csv(one(paths, store=moved)) == to_csv(grouped)
    with pytest.raises(RunError, match=r"is needed for its clusters: .*; name it with --store"):
        one(paths, clusters="speaker")
