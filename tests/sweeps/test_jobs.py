import json
from pathlib import Path

import pytest

from deconfound.data.store import save
from deconfound.errors import RunError, SpecError
from deconfound.sweeps import execute
from deconfound.sweeps.execute import is_transient, run_job, shared_data, without_slurm
from deconfound.sweeps.jobs import Job, WorkItem, claim_job, is_evaluated, is_trained, job_id, job_state, read_error
from support.small import small_data, small_spec


def work(folder: Path, stage: str = "train", **changes) -> WorkItem:
    spec = small_spec(**changes.pop("spec", {"train": {"epochs": 2, "batch_size": 16, "accelerator": "cpu"}})).dump()
    checksum = changes.pop("checksum", small_data().checksum)
    job = Job(job_id(spec, checksum), "toy", "erm", 0, spec["seed"], None, checksum, spec)
    return WorkItem(job, str(folder), stage, **changes)  # type: ignore[arg-type]


def test_the_name_follows_from_the_specification_and_the_data_not_from_their_place():
    here, there = (small_spec(data={"store": place}).dump() for place in ("/a/store", "/b/store"))
    assert job_id(here, "c" * 64) == job_id(there, "c" * 64)
    others = [job_id(here, "d" * 64), job_id({**here, "seed": 1}, "c" * 64), job_id({**here, "name": "x"}, "c" * 64)]
    assert len({job_id(here, "c" * 64), *others}) == 4
    assert len(others[0]) == 16
    assert int(others[0], 16) >= 0
    reordered = dict(reversed(list(here.items())))
    assert job_id(reordered, "c" * 64) == job_id(here, "c" * 64)


def test_work_crosses_to_another_process_as_one_line(tmp_path):
    for scenarios in (None, ({"name": "a", "split": "valid"},)):
        item = work(tmp_path, scenarios=scenarios, threads=3)
        assert "\n" not in item.to_json()
        assert WorkItem.from_json(item.to_json()) == item


def test_a_job_goes_from_planned_to_evaluated_and_leaves_what_is_finished_alone(tmp_path):
    folder = tmp_path / "r"
    assert job_state(folder) == "planned"
    assert run_job(work(folder)).state == "done"
    assert job_state(folder) == "done"
    assert is_trained(folder)
    before = (folder / "done.json").stat().st_mtime_ns
    assert run_job(work(folder)).state == "done"
    assert (folder / "done.json").stat().st_mtime_ns == before
    asked = ({"name": "flip", "split": "test-flip"},)
    assert not is_evaluated(folder, asked)
    assert run_job(work(folder, "evaluate", scenarios=asked)).state == "done"
    assert is_evaluated(folder, asked)
    assert not is_evaluated(folder, None)
    assert job_state(folder) == "evaluated"
    assert {json.loads(line)["split"] for line in (folder / "records.jsonl").read_text().splitlines()} == {
        "valid",
        "test-flip",
    }


def test_a_failure_is_written_with_its_traceback_and_tried_again(tmp_path, monkeypatch):
    folder = tmp_path / "r"

    def full(*args, **kwargs):
        raise RunError("no room") from OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("deconfound.training.train.train_run", full)
        outcome = run_job(work(folder))
    assert (outcome.state, outcome.error) == ("failed", "no room")
    assert job_state(folder) == "failed"
    error = read_error(folder)
    assert error is not None
    assert (error["type"], error["stage"], error["may_pass"]) == ("RunError", "train", True)
    assert "No space left on device" in error["traceback"]
    assert run_job(work(folder)).state == "done"
    assert read_error(folder) is None


def test_evaluating_what_is_not_trained_fails_and_says_what_to_do(tmp_path):
    outcome = run_job(work(tmp_path / "r", "evaluate"))
    assert outcome.state == "failed"
    assert "is not a run" in outcome.error or "does not exist" in outcome.error


def test_data_that_changed_since_planning_are_refused(tmp_path):
    outcome = run_job(work(tmp_path / "r", checksum="0" * 64))
    assert outcome.state == "failed"
    assert "toy has changed since the sweep was planned" in outcome.error
    assert not is_trained(tmp_path / "r")


def test_a_moved_store_does_not_part_a_run_from_its_job(tmp_path):
    settings = {"train": {"epochs": 2, "batch_size": 16, "accelerator": "cpu"}}
    save(small_data(), tmp_path / "a")
    folder = tmp_path / "r"
    assert run_job(work(folder, spec=settings | {"data": {"store": str(tmp_path / "a")}})).state == "done"
    (tmp_path / "a").rename(tmp_path / "b")
    shared_data.cache_clear()
    moved = work(folder, "evaluate", spec=settings | {"data": {"store": str(tmp_path / "b")}})
    assert run_job(moved).state == "done"


def test_a_job_in_other_hands_is_left_to_them(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    with claim_job(folder) as claimed:
        assert claimed
        assert job_state(folder) == "running"
        assert run_job(work(folder, lock_timeout=0.1)).state == "busy"
    assert job_state(folder) == "planned"
    assert not (folder / "error.json").exists()


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OSError(28, "No space left on device"), True),
        (MemoryError(), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True),
        (execute.WorkerLostError("killed"), True),
        (RunError("the loss became infinite"), False),
        (SpecError("unknown"), False),
        (TypeError("a bug"), False),
    ],
)
def test_what_may_pass_is_told_from_what_comes_again(error, passing):
    assert is_transient(error) == passing
    wrapped = RunError("outer")
    wrapped.__cause__ = error
    assert is_transient(wrapped) == passing


def test_a_folder_that_cannot_be_written_is_an_outcome_not_a_crash(tmp_path):
    (tmp_path / "file").write_text("x")
    outcome = run_job(work(tmp_path / "file" / "r"))
    assert outcome.state == "failed"
    assert "cannot write" in outcome.error


def test_workers_forget_the_batch_system(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "8")
    without_slurm()
    import os

    assert not [name for name in os.environ if name.startswith("SLURM_")]


def test_a_job_killed_after_it_stopped_early_is_not_trained_any_further(tmp_path):
    folder = tmp_path / "r"
    train = {"epochs": 30, "patience": 2, "learning_rate": 0.05, "batch_size": 16, "accelerator": "cpu"}
    asked = work(folder, spec={"train": train})
    assert run_job(asked).state == "done"
    kept = ("log.csv", "records.jsonl", "done.json")
    before = {name: (folder / name).read_text() for name in kept}
    for name in kept[1:]:
        (folder / name).unlink()
    assert run_job(asked).state == "done"
    assert (folder / "log.csv").read_text() == before["log.csv"]
    assert (folder / "records.jsonl").read_text() == before["records.jsonl"]
    again, first = json.loads((folder / "done.json").read_text()), json.loads(before["done.json"])
    assert again | {"seconds": 0} == first | {"seconds": 0}
    assert first["epochs"] < 30
