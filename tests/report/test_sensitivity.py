"""Hyper-parameters that differ between runs."""

from __future__ import annotations

import json
from pathlib import Path

from deconfound.report.conditions import all_runs
from deconfound.report.sensitivity import sensitivity_figures, varied_hyperparameters
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import collect_runs
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid, fabricate_sweep


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def test_trials_show_what_a_setting_does(tmp_path: Path) -> None:
    collected = collect_runs([fabricate_sweep(tmp_path / "sweep")])
    (section,) = build_sections(collected.runs, collected.trials)
    (setting,) = varied_hyperparameters(section)
    assert (setting.method, setting.name, setting.distinct, setting.logarithmic) == (
        "cmir",
        "method.invariance",
        [0.1, 1, 10],
        True,
    )
    runs = all_runs(section)
    assert {runs[number][1].folder: value for number, value in setting.values.items()} == {
        f"cmir-{value}-{seed}": value for value in (0.1, 1.0, 10.0) for seed in (0, 1)
    }
    (figure,) = sensitivity_figures(section)
    assert (figure.title, figure.derive) == ("cmir: invariance", "sensitivity")
    assert "6 runs, 3 values" in figure.note


def test_settings_that_vary_together_are_named(tmp_path: Path) -> None:
    arguments = [{"a": 1.0, "b": 0.5, "kind": "x"}, {"a": 2.0, "b": 0.1, "kind": "y"}, {"a": 3.0, "b": 0.1, "on": True}]
    folders = [fabricate(tmp_path / str(i), method="cmir", arguments=given) for i, given in enumerate(arguments)]
    first, second = varied_hyperparameters(section_of(folders))
    assert (first.name, first.distinct) == ("method.a", [1.0, 2.0, 3.0])
    assert (second.name, second.distinct) == ("method.b", [0.1, 0.5])
    assert set(first.others) == {"method.b", "method.kind", "method.on"}
    assert not first.logarithmic
    assert "Also different between these runs: b, kind, on." in sensitivity_figures(section_of(folders))[0].note


def test_seeds_and_the_place_of_the_data_are_no_settings(tmp_path: Path) -> None:
    assert varied_hyperparameters(section_of(fabricate_grid(tmp_path))) == []


def test_methods_are_not_mixed(tmp_path: Path) -> None:
    folders = [
        fabricate(tmp_path / "a", method="erm", arguments={"strength": 1.0}),
        fabricate(tmp_path / "b", method="cmir", arguments={"strength": 2.0}),
    ]
    assert varied_hyperparameters(section_of(folders)) == []


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    folders = [fabricate(tmp_path / str(i), method="cmir", arguments={"a": v}) for i, v in enumerate((0.5, 1.0, None))]
    file = folders[2] / "spec.json"
    assert json.loads(file.read_text())["method"]["a"] is None
    (setting,) = varied_hyperparameters(section_of(folders))
    assert sorted(setting.values.values()) == [0.5, 1.0]
