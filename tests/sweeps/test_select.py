"""Sweeps in two stages: draws are judged by a part of the seeds, the rest is trained for the chosen draw alone."""

import json
import shutil
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.evaluation.records import read_records
from deconfound.sweeps import execute
from deconfound.sweeps.executors import Resources
from deconfound.sweeps.jobs import Job, is_trained, read_selection
from deconfound.sweeps.plan import make_plan
from deconfound.sweeps.progress import is_over, status_text, sweep_status
from deconfound.sweeps.spec import SweepSpec
from deconfound.sweeps.sweep import pending_jobs, prepare, run_job_by_name, run_sweep
from support.sweeping import results, small_sweep


def two_stages(**changes) -> SweepSpec:
    """Two draws of ERM and CmIR, judged by one seed of three."""
    return small_sweep(**{"seeds": 3, "selection": {"seeds": 1}, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("stages") / "sweep"
    summary = run_sweep(two_stages(), out)
    assert not summary.unfinished
    assert not summary.failed
    return out


def the_jobs(out: Path, spec: SweepSpec) -> dict[bool, set[str]]:
    """Ids of the planned jobs by whether they were trained."""
    plan = make_plan(spec)
    return {
        state: {job.id for job in plan.jobs if is_trained(out / "runs" / job.id) == state} for state in (True, False)
    }


def test_only_the_chosen_draw_is_trained_with_all_seeds(done):
    plan, chosen = make_plan(two_stages()), read_selection(done)
    best = {(entry["dataset"], entry["method"]): entry["draw"] for entry in chosen}
    wanted = {job.id for job in plan.jobs if job.seed == 0 or job.draw == best[job.dataset, job.method]}
    assert the_jobs(done, two_stages())[True] == wanted
    assert len(wanted) == plan.budget["runs"] == 2 * (2 * 1 + 2)
    for entry in chosen:
        assert entry["seeds"] == [0, 1, 2]
        assert [candidate["seeds"] for candidate in entry["candidates"]] == [[0], [0]]
        assert [len(candidate["runs"]) for candidate in entry["candidates"]] == [1, 1]
        for name in entry["runs"]:
            assert (done / "runs" / name / "evaluated.json").is_file()
    unchosen = wanted - {name for entry in chosen for name in entry["runs"]}
    assert not [name for name in unchosen if (done / "runs" / name / "test_access.jsonl").exists()]


def test_the_choice_is_that_of_the_first_seed_alone(done):
    plan = make_plan(two_stages())
    for entry in read_selection(done):
        scores, told = {}, {}
        for job in plan.pairs[entry["dataset"], entry["method"]]:
            if job.seed == 0:
                told[job.draw] = json.loads((done / "runs" / job.id / "done.json").read_text())["score"]
                records = read_records(done / "runs" / job.id / "records.jsonl")
                (scores[job.draw],) = [
                    r.value for r in records if (r.scenario, r.group, r.metric) == ("valid", "all", "mse")
                ]
        assert entry["draw"] == min(scores, key=scores.__getitem__)
        assert entry["score"] == told[entry["draw"]] == pytest.approx(scores[entry["draw"]], rel=1e-6)  # 32 and 64 bits


def test_the_runs_are_those_of_a_sweep_in_one_stage(done, tmp_path):
    """The same names, so that one folder can go from one to the other before anything is chosen, and the same bytes."""
    whole = small_sweep(seeds=3)
    assert {job.id for job in make_plan(whole).jobs} == {job.id for job in make_plan(two_stages()).jobs}
    run_sweep(whole, tmp_path / "s")
    ours, theirs = results(done), results(tmp_path / "s")
    assert [name for name in ours if name.endswith("log.csv")]
    for name in ours:
        if name.endswith(("log.csv", "spec.json")):
            assert ours[name] == theirs[name]


def interrupt_after(count: int, monkeypatch) -> None:
    """Ctrl-C when one more job would be trained."""
    train, begun = execute._train, []

    def counted(work, folder):
        if len(begun) == count:
            raise KeyboardInterrupt
        begun.append(folder)
        return train(work, folder)

    monkeypatch.setattr(execute, "_train", counted)


def test_a_sweep_stopped_in_either_stage_ends_as_an_undisturbed_one(done, tmp_path, monkeypatch):
    for count in (1, 3, 2):  # in the first stage, between the two, and in the second
        with monkeypatch.context() as patch:
            interrupt_after(count, patch)
            with pytest.raises(KeyboardInterrupt):
                run_sweep(two_stages(), tmp_path / "s")
    assert len(the_jobs(tmp_path / "s", two_stages())[True]) == 6
    assert not (tmp_path / "s" / "selection.json").exists()
    assert not run_sweep(two_stages(), tmp_path / "s").unfinished
    assert results(tmp_path / "s") == results(done)


@pytest.mark.slow
def test_two_workers_choose_and_train_the_same(done, tmp_path):
    resources = Resources(workers=2)
    assert not run_sweep(two_stages(), tmp_path / "s", executor="processes", resources=resources).unfinished
    assert results(tmp_path / "s") == results(done)


def test_a_choice_in_two_stages_stands(done, tmp_path):
    out = Path(shutil.copytree(done, tmp_path / "copy"))
    before = results(out)
    run_sweep(two_stages(), out)
    assert results(out) == before
    for change in ({"selection": {"seeds": 2}}, {"selection": {}}, {"seeds": 4}, {"draws": 3}):
        with pytest.raises(RunError, match="would not be blind"):
            run_sweep(two_stages(**change), out)
    late = [{"name": "erm"}, {"name": "cmir"}, {"name": "erm", "label": "again"}]
    assert [entry["method"] for entry in run_sweep(two_stages(method=late), out).chosen] == ["erm", "cmir", "again"]


def test_left_out_environments_judge_and_full_runs_are_trained_for_the_chosen_draw_alone(tmp_path):
    spec = small_sweep(method=[{"name": "erm"}], selection={"rule": "leave-one-environment-out"})
    plan = make_plan(spec)
    assert {job.final for job in plan.jobs if job.left_out is None} == {True}
    assert {job.final for job in plan.jobs if job.left_out is not None} == {False}
    (entry,) = run_sweep(spec, tmp_path / "s").chosen
    jobs_by_trained = the_jobs(tmp_path / "s", spec)
    assert len(jobs_by_trained[True]) == plan.budget["runs"] == 2 * 3 + 2
    assert {(job.draw, job.seed) for job in plan.jobs if job.id in jobs_by_trained[False]} == {
        (1 - entry["draw"], 0),
        (1 - entry["draw"], 1),
    }


def test_the_oracle_opens_the_judging_runs_and_those_of_its_choice(tmp_path):
    spec = two_stages(method=[{"name": "erm"}], selection={"rule": "oracle", "seeds": 1}, seeds=2)
    (entry,) = run_sweep(spec, tmp_path / "s").chosen
    opened = {path.parent.name for path in (tmp_path / "s" / "runs").glob("*/test_access.jsonl")}
    assert opened == the_jobs(tmp_path / "s", spec)[True]
    assert len(opened) == 2 + 1
    scores = {}
    for job in make_plan(spec).jobs:
        if job.seed == 0:
            records = read_records(tmp_path / "s" / "runs" / job.id / "records.jsonl")
            (scores[job.draw],) = [
                r.value for r in records if (r.scenario, r.group, r.metric) == ("test-flip", "all", "mse")
            ]
    assert entry["draw"] == min(scores, key=scores.__getitem__)


def failing(bad: set[str], error: Exception, monkeypatch) -> None:
    train = execute._train

    def some_fail(work, folder):
        if work.job.id in bad:
            raise error
        return train(work, folder)

    monkeypatch.setattr(execute, "_train", some_fail)


def test_a_draw_whose_final_run_fails_for_good_gives_way_to_the_next_best(done, tmp_path, monkeypatch):
    (first,) = [entry["draw"] for entry in read_selection(done) if entry["method"] == "erm"]
    spec = two_stages(method=[{"name": "erm"}])
    bad = {job.id for job in make_plan(spec).jobs if (job.draw, job.seed) == (first, 2)}
    with monkeypatch.context() as patch:
        failing(bad, RunError("the loss became nan"), patch)
        summary = run_sweep(spec, tmp_path / "s")
    (entry,) = summary.chosen
    assert entry["draw"] == 1 - first
    assert [is_trained(run) for run in summary.runs] == [True] * 3
    reasons = [candidate["reason"] for candidate in entry["candidates"] if candidate["draw"] == first]
    assert reasons == ["seed 2 failed: the loss became nan"]


def test_a_final_run_that_may_pass_is_waited_for(done, tmp_path, monkeypatch):
    spec = two_stages(method=[{"name": "erm"}])
    bad = {job.id for job in make_plan(spec).jobs if job.final}
    with monkeypatch.context() as patch:
        failing(bad, MemoryError("no memory"), patch)
        summary = run_sweep(spec, tmp_path / "s")
    assert "no memory" in summary.unfinished["erm on toy"]
    assert not summary.chosen
    assert not list((tmp_path / "s").rglob("test_access.jsonl"))
    assert not run_sweep(spec, tmp_path / "s").unfinished
    first = [entry for entry in read_selection(done) if entry["method"] == "erm"]
    assert read_selection(tmp_path / "s") == first


def test_another_scheduler_is_given_one_stage_after_the_other(done, tmp_path):
    out, spec = tmp_path / "s", two_stages()
    jobs, later = pending_jobs(spec, out)
    assert ({(job.draw, job.seed) for job in jobs}, len(jobs), later) == ({(0, 0), (1, 0)}, 4, 4)
    assert _heads(out) == ("sweep: 0/8 runs", "judging the draws: 0/4, then training the chosen: 0/4")
    _do(jobs[:3], spec, out)
    assert (len(pending_jobs(spec, out)[0]), pending_jobs(spec, out)[1]) == (3, 2), (
        "one draw of CmIR, and all seeds of ERM's best"
    )
    _do(jobs[3:], spec, out)
    jobs, later = pending_jobs(spec, out)
    assert ({job.seed for job in jobs}, len(jobs), later) == ({1, 2}, 4, 0)
    assert not is_over(sweep_status(out))
    assert _heads(out)[1] == "judging the draws: 4/4, then training the chosen: 0/4"
    _do(jobs, spec, out)
    assert pending_jobs(spec, out) == ([], 0)
    assert not run_sweep(spec, out).unfinished
    assert results(out) == results(done)
    assert is_over(sweep_status(out))
    assert _heads(out)[0] == "sweep: 8/8 runs; selection by valid"


def _do(jobs: list[Job], spec: SweepSpec, out: Path) -> None:
    for job in jobs:
        assert run_job_by_name(spec, out, job.id).state == "done"


def _heads(out: Path) -> tuple[str, str]:
    first, second = status_text(sweep_status(out)).splitlines()[:2]
    return first.split(", time")[0], second


def test_status_of_draws_that_fail_expects_no_final_run_of_them(tmp_path):
    spec = two_stages(method=[{"name": "erm"}])
    plan = prepare(spec, tmp_path)
    assert sweep_status(tmp_path)["later"] == 2
    for count, job in enumerate([job for job in plan.jobs if not job.final], start=1):
        (tmp_path / "runs" / job.id).mkdir(parents=True)
        error = {"message": "diverged", "may_pass": False}
        (tmp_path / "runs" / job.id / "error.json").write_text(json.dumps(error))
        assert sweep_status(tmp_path)["later"] == (2 if count == 1 else 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"selection": {"seeds": 1}},
            "budget: 2 configurations × 1 seeds for each method on each dataset, then 3 seeds of the chosen one; 8 runs; "
            "selection by 'valid'",
        ),
        (
            {"selection": {"rule": "leave-one-environment-out", "seeds": 2}},
            "budget: 2 configurations × 2 seeds per left-out environment for each method on each dataset, then 3 seeds of "
            "the chosen one; 30 runs; selection by 'leave-one-environment-out'",
        ),
    ],
)
def test_the_budget_says_what_judges_and_what_is_trained(changes, text):
    assert make_plan(two_stages(**changes)).budget_text() == text
