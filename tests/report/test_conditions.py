"""Where runs can be judged, and the values by run that the page holds, against pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from deconfound.report import conditions as module
from deconfound.report.conditions import all_runs, choices, choosable_groups, conditions, first_choice, run_values
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import collect_runs
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid, fabricate_sweep


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def records_of(folders: list[Path]) -> pd.DataFrame:
    return pd.concat(pd.read_json(folder / "records.jsonl", lines=True, precise_float=True) for folder in folders)


def test_splits_come_first_then_corruptions_then_subsets(tmp_path: Path) -> None:
    section = section_of([fabricate(tmp_path / "a", modalities=("text", "audio"))])
    found = {condition.key: (condition.kind, condition.label) for condition in conditions(section)}
    assert found == {
        "test-iid": ("split", "test-iid"),
        "test-flip": ("split", "test-flip"),
        "test-zero": ("split", "test-zero"),
        "gaussian": ("corruption", "gaussian, mean over severities"),
        "drop-frames": ("corruption", "drop-frames, mean over severities"),
        "present=text": ("present", "only text"),
        "present=audio": ("present", "only audio"),
    }
    assert first_choice(section) == "test-flip"
    assert [heading for heading, _ in choices(section)] == ["Splits", "Corruption", "Modalities present"]


def test_one_scenario_on_two_splits_is_two_conditions(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    file = folder / "records.jsonl"
    lines = [line for line in file.read_text().splitlines() if '"scenario": "gaussian"' in line]
    more = [line.replace('"split": "test-iid"', '"split": "test-flip"') for line in lines]
    file.write_text("\n".join([*file.read_text().splitlines(), *more]))
    keys = [condition.key for condition in conditions(section_of([folder])) if condition.kind == "corruption"]
    assert keys == ["drop-frames", "gaussian on test-iid", "gaussian on test-flip"] or keys == [
        "gaussian on test-iid",
        "drop-frames",
        "gaussian on test-flip",
    ]


def test_values_by_run_are_those_of_the_records(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path)
    section, records = section_of(folders), records_of(folders)
    found = run_values(section)
    for number, (label, run) in enumerate(all_runs(section)):
        mine = records[(records.method == label) & (records.seed == run.seed)]
        for metric in ("mse", "corr"):
            of_metric = mine[mine.metric == metric]
            clean = of_metric[(of_metric.scenario == "test-zero") & (of_metric.group == "speaker=ben")].value.item()
            assert found["test-zero"]["speaker=ben"][metric][number] == pytest.approx(clean, rel=1e-4)
            damaged = of_metric[of_metric.scenario == "gaussian"].value.mean()
            assert found["gaussian"]["all"][metric][number] == pytest.approx(damaged, rel=1e-4)
            valid = of_metric[(of_metric.scenario == "valid") & (of_metric.group == "all")].value.item()
            assert found["valid"]["all"][metric][number] == pytest.approx(valid, rel=1e-4)
    assert set(found["gaussian"]) == {"all"}


def test_a_mean_over_severities_is_undefined_where_one_of_them_is(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    file = folder / "records.jsonl"
    lines = file.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if '"scenario": "gaussian"' in line and '"metric": "mse"' in line)
    lines[place] = lines[place].split('"value"')[0] + '"value": null}'
    file.write_text("\n".join(lines))
    found = run_values(section_of([folder]))["gaussian"]["all"]
    assert "mse" not in found
    assert found["mae"][0] is not None


def test_trials_follow_with_what_was_measured_of_them(tmp_path: Path) -> None:
    collected = collect_runs([fabricate_sweep(tmp_path / "sweep")])
    (section,) = build_sections(collected.runs, collected.trials)
    found = run_values(section)
    records = records_of([run.directory for _, run in all_runs(section)])
    chosen = records[(records.scenario == "valid") & (records.group == "all") & (records.metric == "mse")]
    assert found["valid"]["all"]["mse"] == pytest.approx(chosen.value.to_list(), rel=1e-4)
    assert len(found["valid"]["all"]["mse"]) == 8
    assert len(found["test-iid"]["all"]["mse"]) == 4


def test_groups_beyond_the_budget_cannot_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = section_of([fabricate(tmp_path / "a")])
    assert choosable_groups(section) == ["all", "worst(speaker)", "speaker=anna", "speaker=ben"]
    monkeypatch.setattr(module, "BUDGET", 10)
    assert choosable_groups(section) == ["all", "worst(speaker)"]
