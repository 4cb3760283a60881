import json
import shutil
from pathlib import Path

import pytest

from deconfound.errors import RunError, SpecError
from deconfound.evaluation.records import read_records, write_records
from deconfound.io.lock import exclusive_lock
from deconfound.sweeps import select as select_module
from deconfound.sweeps.jobs import job_state, read_selection
from deconfound.sweeps.plan import make_plan
from deconfound.sweeps.sweep import prepare, run_job_by_name, run_sweep
from support.sweeping import TOY, results, small_sweep


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "out"
    summary = run_sweep(small_sweep(), out)
    assert not summary.unfinished
    assert not summary.failed
    return out


@pytest.fixture
def copy(done, tmp_path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def test_only_chosen_runs_have_test_records_and_they_were_opened_after_the_choice(done):
    chosen = {name for entry in read_selection(done) for name in entry["runs"]}
    assert len(chosen) == 2 * 2
    written = (done / "selection.json").stat().st_mtime_ns
    for folder in (done / "runs").iterdir():
        splits = {record.split for record in read_records(folder / "records.jsonl")}
        assert splits == ({"valid", "test-flip"} if folder.name in chosen else {"valid"})
        assert (folder / "test_access.jsonl").exists() == (folder.name in chosen)
        assert (folder / "predictions" / "test-flip.npz").exists() == (folder.name in chosen)
        if folder.name in chosen:
            assert (folder / "test_access.jsonl").stat().st_mtime_ns >= written
            assert job_state(folder) == "evaluated"


def test_the_choice_is_the_draw_with_the_best_mean_validation_metric(done):
    plan = make_plan(small_sweep())
    for entry in read_selection(done):
        means = {}
        for draw in (0, 1):
            jobs = [job for job in plan.pairs[entry["dataset"], entry["method"]] if job.draw == draw]
            values = [
                record.value
                for job in jobs
                for record in read_records(done / "runs" / job.id / "records.jsonl")
                if (record.scenario, record.group, record.metric) == ("valid", "all", "mse")
            ]
            assert len(values) == 2
            means[draw] = sum(values) / 2
        assert entry["draw"] == min(means, key=means.__getitem__)
        assert entry["score"] == pytest.approx(means[entry["draw"]])
        assert [candidate["draw"] for candidate in entry["candidates"]] == [0, 1]


def test_a_finished_sweep_is_not_done_again(copy):
    files = {path: path.stat().st_mtime_ns for path in (copy / "runs").rglob("*") if path.is_file()}
    before = results(copy)
    run_sweep(small_sweep(), copy)
    assert results(copy) == before
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_selection_cannot_see_test_records_even_where_they_lie_beside_it(copy, monkeypatch):
    """Tuning on test: test records that would turn every choice around change none."""
    before = [(entry["method"], entry["draw"], entry["score"]) for entry in read_selection(copy)]
    for folder in (copy / "runs").iterdir():
        known = read_records(folder / "records.jsonl")
        one = next(record for record in known if record.metric == "mse" and record.group == "all")
        chosen = (folder / "test_access.jsonl").exists()
        planted = [_moved(one, 99.0 if chosen else -99.0)]
        write_records(folder / "records.jsonl", [r for r in known if r.split == "valid"] + planted)
    (copy / "selection.json").unlink()
    shown = []
    select = select_module.select
    monkeypatch.setattr(
        select_module, "select", lambda candidates, *rule: (shown.extend(candidates), select(candidates, *rule))[1]
    )
    run_sweep(small_sweep(), copy)
    assert {record.split for candidate in shown for record in candidate.records} == {"valid"}
    assert [(entry["method"], entry["draw"], entry["score"]) for entry in read_selection(copy)] == before


def _moved(record, value):
    from dataclasses import replace

    return replace(record, scenario="test-flip", split="test-flip", value=value)


def test_a_choice_that_opened_test_rows_stands(copy):
    """Other draws, seeds or rules would be chosen with the test results known."""
    for change in ({"draws": 3}, {"seeds": 3}, {"train": {"epochs": 3}}, {"selection": {"rule": "worst-group"}}):
        with pytest.raises(RunError, match="would not be blind: choose another folder"):
            run_sweep(small_sweep(**change), copy)
    with pytest.raises(RunError, match="would not be blind"):
        run_sweep(small_sweep(method=[{"name": "erm"}]), copy)
    assert results(copy).keys() >= {"selection.json"}


def test_a_sweep_grows_by_methods_and_scenarios(copy):
    before = results(copy)
    late = [{"name": "erm"}, {"name": "cmir"}, {"name": "cmir", "label": "still", "arguments": {"strength": 0.0}}]
    asked = [{"name": "valid", "split": "valid"}, {"name": "zero", "split": "test-zero"}]
    summary = run_sweep(small_sweep(method=late, evaluation={"tables": asked}), copy)
    assert [entry["method"] for entry in summary.chosen] == ["erm", "cmir", "still"]
    after = results(copy)
    assert [after[name] for name in before if name.endswith("log.csv")] == [
        before[name] for name in before if name.endswith("log.csv")
    ]
    assert all({r.scenario for r in read_records(run / "records.jsonl")} >= {"zero"} for run in summary.runs)


def test_before_anything_is_chosen_a_sweep_may_change(tmp_path):
    prepare(small_sweep(draws=1), tmp_path / "s")
    assert len(prepare(small_sweep(draws=2), tmp_path / "s").jobs) == 8


def test_a_failure_does_not_stop_the_rest_and_is_tried_again(tmp_path, monkeypatch):
    from deconfound.methods.cmir import CmIR

    def broken(self, batch, progress, generator):
        raise TypeError("a planted bug")

    spec = small_sweep(draws=1)
    with monkeypatch.context() as patch:
        patch.setattr(CmIR, "loss", broken)
        summary = run_sweep(spec, tmp_path / "s")
    assert [entry["method"] for entry in summary.chosen] == ["erm"]
    assert set(summary.failed.values()) == {"a planted bug"}
    assert summary.unfinished == {"cmir on toy": "a planted bug"}
    error = _error(tmp_path / "s", next(iter(summary.failed)))
    assert (error["type"], error["may_pass"]) == ("TypeError", False)
    assert "in broken" in error["traceback"]
    again = run_sweep(spec, tmp_path / "s")
    assert not again.unfinished
    assert not again.failed
    assert [entry["method"] for entry in again.chosen] == ["erm", "cmir"]


def _error(out: Path, name: str) -> dict:
    return json.loads((out / "runs" / name / "error.json").read_text())


def test_a_draw_that_fails_for_good_loses_and_one_that_may_pass_is_waited_for(tmp_path, monkeypatch):
    spec = small_sweep(method=[{"name": "erm"}])
    bad = {job.id for job in make_plan(spec).jobs if job.draw == 1}
    for error, waits in ((RunError("the loss became infinite"), False), (MemoryError("no memory"), True)):
        out = tmp_path / type(error).__name__
        with monkeypatch.context() as patch:
            patch.setattr("deconfound.sweeps.execute._train", _failing(bad, error))
            summary = run_sweep(spec, out)
        assert bool(summary.unfinished) == waits
        assert bool(summary.chosen) != waits
        if not waits:
            assert summary.chosen[0]["draw"] == 0
            assert summary.chosen[0]["candidates"][1]["score"] is None
            assert set(summary.failed) == bad
        assert not run_sweep(spec, out).unfinished


def _failing(bad, error):
    from deconfound.sweeps.execute import _train

    def train(work, folder):
        if work.job.id in bad:
            raise error
        return _train(work, folder)

    return train


def test_two_sweeps_do_not_write_one_folder(copy):
    with exclusive_lock(copy), pytest.raises(RunError, match="is being written by another process"):
        run_sweep(small_sweep(), copy)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"it holds 'thesis\.tex'"):
        run_sweep(small_sweep(), tmp_path)


def test_leaving_environments_out_chooses_by_them_and_evaluates_the_full_runs(tmp_path):
    spec = small_sweep(method=[{"name": "erm"}], selection={"rule": "leave-one-environment-out"}, seeds=1)
    summary = run_sweep(spec, tmp_path / "s")
    (entry,) = summary.chosen
    assert len(entry["runs"]) == 1
    assert len(entry["candidates"][0]["runs"]) == 3
    plan = make_plan(spec)
    scores = {}
    for draw in (0, 1):
        values = []
        for job in plan.jobs:
            if job.draw == draw and job.left_out:
                records = read_records(tmp_path / "s" / "runs" / job.id / "records.jsonl")
                assert {record.split for record in records} == {"valid"}
                assert {r.group for r in records} >= {job.left_out}
                values += [r.value for r in records if r.group == "all" and r.metric == "mse"]
        scores[draw] = sum(values) / 3
    assert entry["draw"] == min(scores, key=scores.__getitem__)
    assert entry["score"] == pytest.approx(scores[entry["draw"]])


def test_the_oracle_opens_everything_and_is_called_so_everywhere(tmp_path):
    spec = small_sweep(method=[{"name": "erm"}], selection={"rule": "oracle"}, seeds=1)
    summary = run_sweep(spec, tmp_path / "s")
    written = json.loads((tmp_path / "s" / "selection.json").read_text())
    assert written["rule"] == "oracle"
    assert "TEST rows" in written["note"]
    assert "oracle: chosen by TEST rows" in summary.text()
    for folder in (tmp_path / "s" / "runs").iterdir():
        assert {record.method for record in read_records(folder / "records.jsonl")} == {"erm [oracle]"}
        assert (folder / "test_access.jsonl").is_file()
    with pytest.raises(RunError, match="would not be blind"):
        run_sweep(small_sweep(method=[{"name": "erm"}], selection={"rule": "valid"}, seeds=1), tmp_path / "s")


def test_single_jobs_of_another_scheduler_are_found_done(tmp_path, done):
    spec = small_sweep()
    for job in prepare(spec, tmp_path / "s").jobs:
        assert run_job_by_name(spec, tmp_path / "s", job.id).state == "done"
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "s" / "runs").glob("*/done.json")}
    run_sweep(spec, tmp_path / "s")
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert results(tmp_path / "s") == results(done)
    with pytest.raises(RunError, match="has no job 'abc'"):
        run_job_by_name(spec, tmp_path / "s", "abc")


def test_a_dataset_label_is_where_its_runs_are(tmp_path):
    two = [TOY, TOY | {"name": "other", "synthetic": {"rows": 64, "seed": 1}}]
    summary = run_sweep(small_sweep(dataset=two, method=[{"name": "erm"}], seeds=1, draws=1), tmp_path / "s")
    assert [(entry["dataset"], entry["method"]) for entry in summary.chosen] == [("toy", "erm"), ("other", "erm")]


def test_a_method_of_one_modality_skips_scenarios_that_need_others(tmp_path):
    tables = [
        {"name": "test-flip", "split": "test-flip"},
        {"name": "present=m2", "split": "test-flip", "present": ["m2"]},
        {"name": "noisy", "split": "test-flip", "corruption": "gaussian", "arguments": {"modalities": ["m2"]}},
        {"name": "present=m1", "split": "test-flip", "present": ["m1"]},
    ]
    methods = [{"name": "erm"}, {"name": "erm", "label": "one", "modalities": ["m1"]}]
    spec = small_sweep(method=methods, evaluation={"tables": tables}, seeds=1, draws=1, search={})
    summary = run_sweep(spec, tmp_path / "out")
    assert not summary.unfinished
    line = "one on toy: skipped scenarios that need a modality which it does not use: present=m2, noisy"
    assert line in summary.text().splitlines()
    scenarios = {
        entry["method"]: {
            r.scenario for r in read_records(tmp_path / "out" / "runs" / entry["runs"][0] / "records.jsonl")
        }
        for entry in summary.chosen
    }
    assert scenarios == {
        "erm": {"valid", "test-flip", "present=m2", "noisy", "present=m1"},
        "one": {"valid", "test-flip", "present=m1"},
    }


@pytest.mark.parametrize(
    "needs", [{"present": ["m9"]}, {"corruption": "gaussian", "arguments": {"modalities": ["m9"]}}]
)
def test_a_scenario_with_a_modality_that_the_data_lack_is_refused_before_training(tmp_path, needs):
    tables = [{"name": "odd", "split": "test-flip", **needs}]
    with pytest.raises(SpecError, match=r"scenario 'odd': there is no modality 'm9'; did you mean 'm3'\?"):
        run_sweep(small_sweep(evaluation={"tables": tables}), tmp_path / "out")
    assert not list((tmp_path / "out").glob("runs/*"))
