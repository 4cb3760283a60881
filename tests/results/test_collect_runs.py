"""Run directories and sweep directories as arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deconfound.errors import RunError, SpecError
from deconfound.results.collect_runs import RunFilter, collect_runs
from support.fabricate import fabricate, fabricate_sweep


def test_a_sweep_gives_its_selected_runs_and_the_others_as_trials(tmp_path: Path) -> None:
    found = collect_runs([fabricate_sweep(tmp_path / "sweep")])
    assert [run.folder for run in found.runs] == ["erm-None-0", "erm-None-1", "cmir-1.0-0", "cmir-1.0-1"]
    assert {run.rule for run in found.runs} == {"valid"}
    assert [run.folder for run in found.trials] == ["cmir-0.1-0", "cmir-0.1-1", "cmir-10.0-0", "cmir-10.0-1"]


def test_runs_and_sweeps_mix_and_nothing_counts_twice(tmp_path: Path) -> None:
    sweep, run = fabricate_sweep(tmp_path / "sweep"), fabricate(tmp_path / "a", method="imml")
    found = collect_runs([run, sweep, run, sweep / "runs" / "cmir-0.1-0", sweep / "runs" / "cmir-1.0-0"])
    assert [one.folder for one in found.runs] == [
        "a",
        "erm-None-0",
        "erm-None-1",
        "cmir-1.0-0",
        "cmir-1.0-1",
        "cmir-0.1-0",
    ]
    assert [one.folder for one in found.trials] == ["cmir-0.1-1", "cmir-10.0-0", "cmir-10.0-1"]


def test_only_the_wanted_methods_and_datasets_are_gathered(tmp_path: Path) -> None:
    sweep, other = fabricate_sweep(tmp_path / "sweep"), fabricate(tmp_path / "a", method="imml")
    everything = collect_runs([sweep, other])
    found = collect_runs([sweep, other], RunFilter(methods=("cmir", "imml")))
    assert found.runs == tuple(run for run in everything.runs if run.label in ("cmir", "imml"))
    assert found.trials == everything.trials
    assert collect_runs([sweep, other], RunFilter(methods=("erm",))).trials == ()
    name = everything.runs[0].dataset
    assert collect_runs([sweep, other], RunFilter(datasets=(name,))) == everything
    assert RunFilter(("cmir",), (name,)).arguments == ("--method", "cmir", "--dataset", name)
    with pytest.raises(SpecError, match="no run is called or evaluated on 'cmirr'; did you mean 'cmir'"):
        collect_runs([sweep], RunFilter(methods=("cmirr",)))
    with pytest.raises(SpecError, match="evaluated on 'elsewhere'"):
        collect_runs([sweep], RunFilter(datasets=("elsewhere",)))


def test_runs_that_left_an_environment_out_are_no_trials(tmp_path: Path) -> None:
    sweep = fabricate_sweep(tmp_path / "sweep")
    file = sweep / "runs" / "cmir-0.1-0" / "spec.json"
    spec = json.loads(file.read_text())
    spec["data"]["leave_out"] = "speaker=anna"
    file.write_text(json.dumps(spec))
    assert "cmir-0.1-0" not in [run.folder for run in collect_runs([sweep]).trials]


def test_a_sweep_that_has_not_selected_is_refused(tmp_path: Path) -> None:
    sweep = fabricate_sweep(tmp_path / "sweep")
    (sweep / "selection.json").unlink()
    with pytest.raises(RunError, match="has not selected yet"):
        collect_runs([sweep])


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({}, "is damaged"),
        ({"rule": 3, "chosen": []}, "is damaged"),
        ({"rule": "valid", "chosen": [{"runs": 3}]}, "is damaged"),
        ({"rule": "valid", "chosen": [{"runs": ["../../elsewhere"]}]}, "is not the name of a run"),
        ({"rule": "valid", "chosen": [{"runs": [".."]}]}, "is not the name of a run"),
        ({"rule": "valid", "chosen": []}, "chose no run"),
    ],
)
def test_a_damaged_selection_is_refused_in_one_line(tmp_path: Path, selection: Any, message: str) -> None:
    sweep = fabricate_sweep(tmp_path / "sweep")
    (sweep / "selection.json").write_text(json.dumps(selection))
    with pytest.raises(RunError, match=message) as caught:
        collect_runs([sweep])
    assert "\n" not in str(caught.value)
