import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deconfound.api import fit
from deconfound.errors import RunError
from deconfound.methods.erm import ERM
from deconfound.runs.checkpoint import read_checkpoint, write_checkpoint
from deconfound.runs.csv_log import HEADER, read_log
from deconfound.runs.run import Run
from deconfound.training import run_writers, train
from deconfound.training.run_writers import CsvLogger
from support.small import FAST, small_data, small_run, small_spec, tiny

LONG = {**FAST, "epochs": 12, "patience": 100}


def start(out: Path) -> subprocess.Popen[bytes]:
    """Train in a process of its own, as the command line does."""
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from support.small import small_run\n"
        "import signal, time, deconfound.training.learner as learner\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored\n"
        "end = learner.Learner.on_validation_epoch_end\n"
        "learner.Learner.on_validation_epoch_end = lambda self: (time.sleep(0.1), end(self))[1]\n"
        "try:\n"
        f"    small_run({str(out)!r}, train={LONG!r}, method='cmir')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / f"{name}.safetensors")["state_dict"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    small_run(out, train=LONG, method="cmir")
    return out


@pytest.mark.parametrize(("how", "epochs"), [(signal.SIGKILL, 1), (signal.SIGKILL, 4), (signal.SIGINT, 6)])
def test_a_stopped_run_ends_bit_for_bit_like_an_undisturbed_one(tmp_path, undisturbed, how, epochs):
    out = tmp_path / "run"
    process = start(out)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "log.csv").is_file() and len({row["epoch"] for row in read_log(out / "log.csv")}) >= epochs:
            break
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(60) == (130 if how == signal.SIGINT else -how)
    assert not (out / "done.json").exists()
    small_run(out, train=LONG, method="cmir")
    for name in ("last", "best"):
        ours, whole = weights(out, name), weights(undisturbed, name)
        assert ours.keys() == whole.keys()
        assert all(torch.equal(ours[key], whole[key]) for key in whole)
    assert (out / "log.csv").read_text() == (undisturbed / "log.csv").read_text()
    done, expected = Run.open(out).done, Run.open(undisturbed).done
    assert done["seconds"] > 0.1 * epochs  # each epoch of the stopped session slept for so long
    assert {**done, "seconds": 0} == {**expected, "seconds": 0}


def test_the_seconds_of_all_sessions_are_added_up(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".seconds").write_text("1000.5\n2000\nnan\n-7\n\ufffd\n3000.")
    done = small_run(tmp_path / "r").done
    assert done["seconds"] == pytest.approx(6000.5, abs=300)
    assert not (tmp_path / "r" / ".seconds").exists()


def test_a_finished_run_is_returned_untouched(undisturbed):
    files = [path for path in undisturbed.rglob("*") if path.is_file() and path.name != ".lock"]
    before = {path: path.stat().st_mtime_ns for path in files}
    small_run(undisturbed, train=LONG, method="cmir")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_every_term_of_every_epoch_is_logged(undisturbed):
    rows = read_log(undisturbed / "log.csv")
    terms = {f"{row['split']}/{row['term']}" for row in rows}
    assert {"valid/risk", "train/total", "train/learning_rate"} <= terms
    assert {"train/prediction", "train/invariance", "train/decorrelation", "train/reconstruction"} <= terms
    for term in terms:
        assert [row["epoch"] for row in rows if f"{row['split']}/{row['term']}" == term] == list(range(12))


def test_the_best_epoch_is_the_lowest_validation_risk(undisturbed):
    risks = [row["value"] for row in read_log(undisturbed / "log.csv") if row["term"] == "risk"]
    done = Run.open(undisturbed).done
    assert done["best_risk"] == min(risks)
    assert done["best_epoch"] == risks.index(min(risks))
    data = small_data()
    batch = data.batch("valid")
    with torch.no_grad():
        risk = data.task.risk(Run.open(undisturbed).method()(batch), batch.target).mean()
    assert float(risk) == pytest.approx(min(risks), rel=1e-5)


def test_training_never_holds_a_test_row(tmp_path, monkeypatch):
    seen: set[int] = set()
    loss = ERM.loss

    def spy(self, batch, progress, generator):
        seen.update(batch.ids.tolist())
        return loss(self, batch, progress, generator)

    monkeypatch.setattr(ERM, "loss", spy)
    data = small_data()
    fit(data, "erm", out=tmp_path / "r", train=FAST, progress=False)
    assert seen == set(data.rows("train"))


def test_seeds_change_the_result_and_are_repeatable(tmp_path):
    runs = [small_run(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    risks = [run.done["best_risk"] for run in runs]
    assert risks[0] == risks[1] != risks[2]


def test_a_checkpoint_is_never_ahead_of_the_log(tmp_path, monkeypatch):
    out, seen, write = tmp_path / "r", [], run_writers.write_checkpoint

    def spy(tree, path):
        if path.name.startswith("last"):
            terms = {row["term"] for row in read_log(out / "log.csv") if row["epoch"] == tree["epoch"]}
            seen.append({"risk", "total", "learning_rate"} <= terms)
        return write(tree, path)

    monkeypatch.setattr(run_writers, "write_checkpoint", spy)
    small_run(out)
    assert seen == [True] * FAST["epochs"]


def test_two_processes_train_one_run(tmp_path):
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from support.small import FAST, small_run\n"
        f"run = small_run({str(tmp_path / 'r')!r}, train={{**FAST, 'devices': 2}}, method='cmir')\n"
        "assert run.done['epochs'] == 3\n"
    )
    file = tmp_path / "two.py"
    file.write_text(script)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "sync_dist" not in done.stderr
    rows = read_log(tmp_path / "r" / "log.csv")
    assert [(row["step"], row["epoch"]) for row in rows if row["term"] == "total"] == [(1, 0), (3, 1), (5, 2)]


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    run = small_run(tmp_path / "r")
    best = run.path / "checkpoints" / "best.safetensors"
    other = small_run(tmp_path / "o", data={"synthetic": {"rows": 64, "modalities": 2}})
    best.write_bytes((other.path / "checkpoints" / "best.safetensors").read_bytes())
    with pytest.raises(RunError, match="does not fit its specification"):
        run.method()
    best.write_bytes(best.read_bytes()[:-3])
    with pytest.raises(RunError, match="damaged"):
        run.method()


def test_a_regression_of_a_version_that_did_not_scale_targets_is_told_to_train_again(tmp_path):
    run = small_run(tmp_path / "r")
    for name in ("best", "last"):
        path = run.path / "checkpoints" / f"{name}.safetensors"
        tree = read_checkpoint(path)
        former = {key.replace(".inner.", ".", 1): value for key, value in tree["state_dict"].items()}
        former = {key: value for key, value in former.items() if key not in ("method.mean", "method.std")}
        write_checkpoint({**tree, "state_dict": former}, path)
    with pytest.raises(RunError, match="did not scale the targets of a regression; delete the run and train again"):
        run.method()
    (run.path / "done.json").unlink()
    with pytest.raises(RunError, match="did not scale the targets of a regression; delete the run and train again"):
        small_run(tmp_path / "r")


def test_a_run_that_is_not_one_is_refused(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        Run.open(tmp_path / "none")
    with pytest.raises(RunError, match="is not a run"):
        Run.open(tmp_path)
    run = small_run(tmp_path / "r")
    (run.path / "done.json").write_text("{")
    with pytest.raises(RunError, match=r"done\.json is damaged"):
        run.method()
    (run.path / "environment.json").write_text("{}")
    with pytest.raises(RunError, match="is damaged"):
        Run.open(run.path)


def test_the_environment_is_captured(tmp_path):
    run = small_run(tmp_path / "r")
    assert {"python", "torch", "lightning", "deconfound"} <= set(run.environment["versions"])
    assert run.environment["data"]["checksum"] == small_data().checksum
    assert json.loads((run.path / "spec.json").read_text())["method"]["name"] == "erm"


def test_own_modules_serve_as_encoders(tmp_path):
    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 5)

        def forward(self, values, mask):
            return self.layer(values.sum(1) / mask.sum(1, keepdim=True).clamp(min=1))

    run = fit(tiny(), "erm", out=tmp_path / "r", train=FAST, encoders={"text": Mean()}, progress=False)
    with pytest.raises(RunError, match="pass encoders="):
        Run.open(run.path).method()
    batch = tiny().batch("test")
    first, second = (run.method({"text": Mean()})(batch) for _ in range(2))
    assert torch.equal(first, second)


def test_the_curve_log_drops_what_will_be_trained_again(tmp_path):
    path = tmp_path / "log.csv"
    log = CsvLogger(path)
    for epoch in range(3):
        log.log_metrics({"train/total": 0.1 * epoch, "epoch": epoch, "noise": 1}, step=epoch)
    with path.open("a") as file:
        file.write("3,3,tra")
    assert [row["epoch"] for row in read_log(path)] == [0, 1, 2]
    CsvLogger(path, keep_epochs=1)
    assert path.read_text() == ",".join(HEADER) + "\n0,0,train,total,0.0\n"
    path.write_text("a,b\n")
    with pytest.raises(RunError, match="not a log"):
        read_log(path)


def test_a_specification_needs_no_data_until_it_trains():
    assert small_spec(data={}).data.store is None


def test_the_method_that_is_checked_is_the_one_that_is_trained(tmp_path, monkeypatch):
    built, checked = [], []
    build_method = train.build_method

    def counting_build(*arguments):
        method = build_method(*arguments)
        method.hooks = replace(method.hooks, check=lambda development: checked.append(method))
        built.append(method)
        return method

    monkeypatch.setattr(train, "build_method", counting_build)
    run = small_run(tmp_path / "r")
    assert checked == built
    assert len(built) == 1
    trained = weights(run.path, "best")
    assert trained.keys() == {f"method.{name}" for name in built[0].state_dict()}
    small_run(tmp_path / "r")
    assert len(built) == 1, "a finished run needs no method"


def test_the_validation_risk_is_a_mean_over_rows_not_over_batches(tmp_path):
    """600 rows are predicted in batches of 512 and 88: a mean of the two means would weight a row of the last more."""
    rows = 16 + 600 + 2
    data = tiny(
        n=rows,
        split=["train"] * 16 + ["valid"] * 600 + ["test"] * 2,
        target=torch.cat([torch.zeros(16 + 512), torch.full((90,), 10.0)]),
    )
    run = fit(data, "erm", out=tmp_path / "r", train={**FAST, "epochs": 1}, progress=False)
    batch = data.batch("valid")
    with torch.no_grad():
        risks = data.task.risk(run.method()(batch), batch.target)
    of_batches = (risks[:512].mean() + risks[512:].mean()) / 2
    assert float(of_batches) > 1.5 * float(risks.mean()), "the two means must differ for the test to tell"
    assert run.done["best_risk"] == pytest.approx(float(risks.mean()), rel=1e-5)
