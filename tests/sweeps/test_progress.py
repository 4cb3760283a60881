import json
import subprocess
import sys
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.sweeps.jobs import claim_job
from deconfound.sweeps.plan import make_plan
from deconfound.sweeps.progress import Progress, duration, epochs_trained, is_over, status_text, sweep_status
from support.sweeping import small_sweep

DONE = {"epochs": 2, "best_epoch": 1, "best_risk": 0.5, "seconds": 1.0}
CHOICE = {"rule": "valid", "draw": 0, "config": "", "key": "", "metric": "mae", "score": 0.5, "candidates": []}


@pytest.fixture
def sweep(tmp_path) -> Path:
    """Eight jobs: one of each state but planned, three planned; nothing was trained."""
    plan = make_plan(small_sweep())
    plan.write(tmp_path)
    files = [
        {"done.json": DONE | {"seconds": 10.0}, "evaluated.json": {}},
        {"done.json": DONE | {"seconds": 30.0}},
        {"error.json": {"message": "no memory"}},
        {"spec.json": {}},
        {"spec.json": {}, ".job": {}},
    ]
    for job, wanted in zip(plan.jobs, files, strict=False):
        folder = tmp_path / "runs" / job.id
        folder.mkdir(parents=True)
        for name, values in wanted.items():
            (folder / name).write_text(json.dumps(values))
    half = tmp_path / "runs" / plan.jobs[3].id / "log.csv"
    half.write_text("step,epoch,split,term,value\n3,0,train,total,1.0\n3,0,valid,risk,1.0\n6,1,tra")
    chosen = [{"dataset": "toy", "method": "erm", "runs": [plan.jobs[0].id], **CHOICE}]
    (tmp_path / "selection.json").write_text(json.dumps({"rule": "valid", "chosen": chosen}))
    return tmp_path


def test_every_state_is_told_from_the_files_alone(sweep):
    plan = make_plan(small_sweep())
    with claim_job(sweep / "runs" / plan.jobs[4].id):
        status = sweep_status(sweep)
    assert [job["state"] for job in status["jobs"]] == [
        "evaluated", "done", "failed", "stopped", "running", "planned", "planned", "planned",
    ]  # fmt: skip
    assert status["states"] == {"planned": 3, "running": 1, "stopped": 1, "done": 1, "failed": 1, "evaluated": 1}
    assert [job["chosen"] for job in status["jobs"]] == [True] + [False] * 7
    assert (status["jobs"][3]["epoch"], status["jobs"][3]["epochs"]) == (1, 2)
    assert status["seconds_left"] == 20 * (0.5 + 1 + 3)
    text = status_text(status)
    assert "sweep: 3/8 runs, about 90 s left" in text or "2 min left" in text
    assert "failed " + plan.jobs[2].id in text
    assert text.endswith("no memory")
    assert f"stopped {plan.jobs[3].id} erm on toy, draw 1, seed 1: epoch 1 of 2" in text
    assert not is_over(status)


def test_a_sweep_is_over_when_nothing_can_change_by_itself(sweep):
    plan = make_plan(small_sweep())
    for job in plan.jobs[3:]:
        (sweep / "runs" / job.id).mkdir(parents=True, exist_ok=True)
        (sweep / "runs" / job.id / "done.json").write_text(json.dumps(DONE))
    assert is_over(sweep_status(sweep))
    (sweep / "runs" / plan.jobs[0].id / "evaluated.json").unlink()
    assert not is_over(sweep_status(sweep))
    (sweep / "selection.json").unlink()
    assert not is_over(sweep_status(sweep))


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a sweep"):
        sweep_status(tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(RunError, match=r"sweep\.json is damaged"):
        sweep_status(tmp_path)


def test_status_loads_no_torch(sweep):
    script = (
        f"import sys; from deconfound.sweeps.progress import sweep_status; sweep_status({str(sweep)!r})\n"
        "assert not {'torch', 'lightning', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_progress_estimates_the_time_left(monkeypatch, capsys):
    now = iter([0.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr("deconfound.sweeps.progress.time.monotonic", lambda: next(now))
    with Progress("train", 3, shown=True) as line:
        assert line.text() == "train 0/3"
        line.step()
        line.step(failed=True)
    shown = capsys.readouterr().err
    assert "train 1/3, about 20 s left" in shown
    assert "train 2/3, 1 failed, about 10 s left" in shown


def test_progress_is_silent_in_a_pipe(capsys):
    with Progress("train", 3) as line:
        line.step()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (400, "7 min"), (12_000, "3 h 20 min"), (190_000, "2 d 4 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_epochs_of_a_long_log_are_read_from_its_end(tmp_path):
    assert epochs_trained(tmp_path) == 0
    rows = [f"{e},{e},train,total,1.0" for e in range(5000)]
    (tmp_path / "log.csv").write_text("\n".join(["step,epoch,split,term,value", *rows]) + "\n")
    assert epochs_trained(tmp_path) == 5000
    (tmp_path / "log.csv").write_text("step,epoch,split,term,value\n")
    assert epochs_trained(tmp_path) == 0
