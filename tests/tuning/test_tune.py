"""Tuning: the space, the equal budget, shared and killed workers, and that no test row is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deconfound.cli import tune as cli_tune
from deconfound.data import store
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError, RunError
from deconfound.evaluation.records import read_records
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run
from deconfound.tuning.spec import TuneSpec
from deconfound.tuning.study import _repair
from deconfound.tuning.tune import TrialCallback, past_scores, tune
from support.small import FAST
from support.tune_small import spec

TrialState = pytest.importorskip("optuna.trial", reason="the extra 'tune' is not installed").TrialState


def written(out: Path) -> dict[str, Any]:
    return json.loads((out / "tuning.json").read_text())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed tuning by one process."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    tune(spec(), out)
    return out


def test_every_method_has_the_same_number_of_trials_and_seeds(tuned):
    results = written(tuned)
    assert results["complete"]
    assert results["budget"] == {"trials": 2, "seeds": [0, 1], "epochs": 3}
    for label, method in results["methods"].items():
        assert [trial["id"] for trial in method["trials"]] == [f"{label}-000", f"{label}-001"]
        for trial in method["trials"]:
            assert (trial["state"], set(trial["scores"]), trial["epochs"]) == ("complete", {"0", "1"}, 6)
    runs = sorted(str(path.parent.relative_to(tuned)) for path in tuned.glob("trials/*/*/done.json"))
    assert runs == [f"trials/{label}-00{t}/{s}" for label in ("cmir", "erm") for t in (0, 1) for s in (0, 1)]


def test_the_score_is_the_mean_of_the_runs_best_validation_risks_and_the_lowest_wins(tuned):
    for method in written(tuned)["methods"].values():
        for trial in method["trials"]:
            done = [Run.open(tuned / "trials" / trial["id"] / seed).done or {} for seed in ("0", "1")]
            assert trial["scores"] == {"0": done[0]["best_risk"], "1": done[1]["best_risk"]}
            assert trial["score"] == pytest.approx(sum(run["best_risk"] for run in done) / 2)
        assert method["score"] == min(trial["score"] for trial in method["trials"])


def test_the_first_trial_is_the_default_and_the_others_lie_in_their_ranges(tuned):
    results = written(tuned)
    default = Run.open(tuned / "trials" / "cmir-000" / "0").spec
    assert default.method == Spec.of({"method": {"name": "cmir", "dim": 4}}).method
    assert default.train.learning_rate == 1e-3
    for label, method in results["methods"].items():
        for trial in method["trials"]:
            assert set(trial["values"]) == set(method["space"])
            assert all(method["space"][k]["low"] <= v <= method["space"][k]["high"] for k, v in trial["values"].items())
        assert method["trials"][1]["values"] != method["trials"][0]["values"], label


def test_no_test_row_is_read(tuned):
    records = [record for path in tuned.rglob("records.jsonl") for record in read_records(path)]
    assert {record.split for record in records} == {"valid"}
    assert len({record.run for record in records}) == 2
    assert {path.name for path in tuned.rglob("*.npz")} == {"valid.npz"}
    assert list(tuned.rglob("test_access.jsonl")) == []


def test_other_test_rows_change_nothing(tmp_path):
    data = synthetic(rows=64)
    split = ["train"] * 64 + ["valid"] * len(data.rows("valid")) + ["test-iid"] * len(data.rows("test-iid"))
    fewer = data.resplit(split + [""] * (len(data) - len(split)))
    one = {"method": [{"name": "erm"}], "data": {}, "seeds": 1}
    whole, cut = (tune(spec(**one), tmp_path / name, dataset=d) for name, d in (("a", data), ("b", fewer)))
    assert whole["methods"] == cut["methods"]
    assert whole["data"]["checksum"] != cut["data"]["checksum"]


def test_the_best_specification_trains_to_the_same_run(tuned, tmp_path):
    best = written(tuned)["methods"]["cmir"]
    wanted = Spec.read(tuned / best["spec"])
    run = train_run(wanted, tmp_path / "run", progress=False)
    begun = Run.open(tuned / "trials" / best["best"] / "0")
    assert wanted.difference(begun.spec) is None
    assert (run.path / "log.csv").read_bytes() == (begun.path / "log.csv").read_bytes()


def test_a_store_is_found_from_the_best_specification(tmp_path):
    store.save(synthetic(rows=64), tmp_path / "stores" / "made")
    (tmp_path / "tune.toml").write_text(
        'trials = 1\n[data]\nstore = "stores/made"\n[base.backbone]\nhidden = 8\n[base.train]\nepochs = 2\n'
        'accelerator = "cpu"\nthreads = 1\n[[method]]\nname = "erm"\n'
        "[search.train]\nlearning_rate = { low = 1e-3, high = 1 }\n"
    )
    tune(TuneSpec.read(tmp_path / "tune.toml"), tmp_path / "deep" / "out")
    text = (tmp_path / "deep" / "out" / "best-erm.toml").read_text()
    assert 'store = "../../stores/made"' in text
    assert Spec.read(tmp_path / "deep" / "out" / "best-erm.toml").data.store == str(tmp_path / "stores" / "made")


def test_a_second_call_trains_nothing_and_more_trials_go_on(tuned, tmp_path):
    out = tmp_path / "out"
    one = {"method": [{"name": "erm"}], "seeds": 1}
    first = tune(spec(**one), out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("done.json")}
    assert tune(spec(**one), out) == first
    more = tune(spec(**one, trials=3), out)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert more["methods"]["erm"]["trials"][:2] == first["methods"]["erm"]["trials"]
    assert len(more["methods"]["erm"]["trials"]) == 3
    with pytest.raises(RunError, match="started with 3 trials; give trials = 3 or more"):
        tune(spec(**one), out)


WORKER = """
import sys
from pathlib import Path
from deconfound.tuning.tune import tune
from deconfound.tuning.spec import TuneSpec
tune(TuneSpec.model_validate_json(Path(sys.argv[1]).read_text()), sys.argv[2])
"""


def worker(wanted: TuneSpec, out: Path) -> subprocess.Popen[bytes]:
    file = out.parent / "wanted.json"
    file.write_text(wanted.model_dump_json())
    return subprocess.Popen([sys.executable, "-c", WORKER, file, out], env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_two_workers_share_one_budget(tmp_path):
    wanted, out = spec(trials=3, seeds=1), tmp_path / "out"
    workers = [worker(wanted, out), worker(wanted, out)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    results = written(out)
    assert results["complete"]
    for method in results["methods"].values():
        assert [trial["slot"] for trial in method["trials"]] == [0, 1, 2]
        assert {trial["state"] for trial in method["trials"]} == {"complete"}
        assert len({trial["values"]["train.learning_rate"] for trial in method["trials"]}) == 3
    assert len(list(out.rglob("done.json"))) == 6
    assert tune(wanted, out) == results


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial_and_changes_none(tuned, tmp_path):
    """Kill -9 in the middle of a trial's second run: at the end tuning.json is that of an undisturbed tuning."""
    out = tmp_path / "out"
    process = worker(spec(), out)
    until = time.monotonic() + 60
    while not (out / "trials" / "cmir-000" / "1" / "log.csv").exists() and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "best-cmir.toml").exists()
    assert tune(spec(), out) == written(tuned)


class Killed(BaseException):
    """Ends a worker where it is."""


def test_a_worker_may_end_after_any_epoch(tuned, tmp_path, monkeypatch):
    """The trials of ended workers are failed in the journal, and what comes out is what an undisturbed tuning gives."""
    out, counted, reach = tmp_path / "out", [0], TrialCallback.on_train_epoch_end

    def end(self: TrialCallback, trainer: Any, pl_module: Any) -> None:
        reach(self, trainer, pl_module)
        counted[0] -= 1
        if counted[0] == 0:
            raise Killed

    monkeypatch.setattr(TrialCallback, "on_train_epoch_end", end)
    for epochs in (1, 3, 7):
        counted[0] = epochs
        with pytest.raises(Killed):
            tune(spec(), out)
    assert json.loads((out / "tuning.json").read_text())["complete"] is False
    assert tune(spec(), out) == written(tuned)
    assert (out / "journal.log").read_text().count(f'"state":{TrialState.FAIL.value}') == 3
    for path in tuned.rglob("log.csv"):
        assert (out / path.relative_to(tuned)).read_bytes() == path.read_bytes()


def test_a_line_cut_short_in_the_journal_is_cut_off(tuned, tmp_path):
    out = tmp_path / "out"
    one = {"method": [{"name": "erm"}], "seeds": 1, "trials": 1}
    first = tune(spec(**one), out)
    with open(out / "journal.log", "ab") as file:
        file.write(b'{"op_code": 5, "work')
    again = tune(spec(**one | {"trials": 2}), out)
    assert again["methods"]["erm"]["trials"][:1] == first["methods"]["erm"]["trials"]
    for content, left in ((b"", b""), (b"a", b""), (b"a\nb\n", b"a\nb\n"), (b"a\n" + b"b" * 70000, b"a\n")):
        (tmp_path / "lines").write_bytes(content)
        _repair(tmp_path / "lines")
        assert (tmp_path / "lines").read_bytes() == left


def test_a_trial_worse_than_the_median_is_given_up_and_counts(tmp_path):
    pruning = {"startup_trials": 1, "warmup_epochs": 1}
    wanted = spec(method=[{"name": "erm"}], trials=4, seeds=1, pruning=pruning)
    trials = tune(wanted, tmp_path)["methods"]["erm"]["trials"]
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned
    assert trials[0]["state"] == "complete"
    reference = dict(past_scores(tmp_path / "trials" / trials[0]["id"] / "0" / "log.csv"))
    for trial in pruned:
        folder = tmp_path / "trials" / trial["id"] / "0"
        risks = past_scores(folder / "log.csv")
        assert trial["score"] is None
        assert 1 <= trial["epochs"] == len(risks) < 3
        assert not (folder / "done.json").exists()
        if trial["id"] == "erm-001":  # the median of one complete trial is that trial
            assert min(risk for _, risk in risks) > min(reference[epoch] for epoch, _ in risks)


def test_a_diverging_trial_is_recorded_and_the_tuning_goes_on(tmp_path):
    wanted = spec(
        method=[{"name": "erm"}],
        seeds=1,
        base={
            "backbone": {"hidden": 8, "depth": 12},
            "train": {**FAST, "learning_rate": 1e3, "warmup": 0.0, "clip": 1e25},
        },
        search={"train": {"learning_rate": {"low": 1e-4, "high": 1e3, "log": True}}},
    )
    first, second = tune(wanted, tmp_path)["methods"]["erm"]["trials"]
    assert first["state"] == "failed"
    assert first["error"].startswith("the loss or the validation risk became infinite in epoch")
    assert second["state"] in ("complete", "failed")


def test_a_watched_run_is_the_run_that_nobody_watches(tmp_path):
    wanted = spec()
    run = wanted.run_spec(wanted.method[1], {}, 0)
    seen: list[tuple[int, float]] = []
    watch = TrialCallback(tmp_path / "a" / "log.csv", lambda epoch, best: seen.append((epoch, best)), lambda: False)
    train_run(run, tmp_path / "a", callbacks=[watch], progress=False)
    train_run(run, tmp_path / "b", progress=False)
    assert (tmp_path / "a" / "log.csv").read_bytes() == (tmp_path / "b" / "log.csv").read_bytes()
    risks = past_scores(tmp_path / "b" / "log.csv")
    assert seen == [(epoch, min(risk for _, risk in risks[: epoch + 1])) for epoch, _ in risks]


def test_folders_of_others_and_data_without_validation_are_refused(tuned, tmp_path):
    with pytest.raises(RunError, match="holds another tuning \\('seeds' differs\\)"):
        tune(spec(seeds=1), tuned)
    with pytest.raises(RunError, match="the data differ"):
        tune(spec(), tuned, dataset=synthetic(rows=65))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="not empty and not a tuning"):
        tune(spec(), tmp_path)
    data = synthetic(rows=64)
    with pytest.raises(DataError, match="no split 'valid'"):
        tune(spec(), tmp_path / "new", dataset=data.resplit(["train"] * 64 + ["test"] * (len(data) - 64)))
    assert not (tmp_path / "new").exists()


def test_the_command_prints_the_budget_and_the_winners(tuned, tmp_path):
    app = typer.Typer()
    app.command()(cli_tune.tune)
    values = spec().model_dump()
    assert cli_tune.budget_text(spec()) == "2 trials × 2 seeds × at most 3 epochs for each of erm, cmir"
    text = cli_tune.tuning_text(written(tuned), tuned)
    assert f"deconfound train {tuned / 'best-erm.toml'} --out RUN" in text
    assert "(2 complete; 12 epochs)" in text
    (tmp_path / "tune.toml").write_text(
        f"trials = {values['trials']}\nseeds = 2\n[data]\nsynthetic = {{ rows = 64 }}\n[base.backbone]\nhidden = 8\n"
        '[base.train]\nepochs = 3\nbatch_size = 16\naccelerator = "cpu"\nthreads = 1\n[[method]]\nname = "erm"\n'
        '[[method]]\nname = "cmir"\narguments = { dim = 4 }\n[search.train]\n'
        "learning_rate = { low = 1e-4, high = 1e-2, log = true }\n[pruning]\nenabled = false\n"
    )
    done = CliRunner().invoke(app, [str(tmp_path / "tune.toml"), "--out", str(tuned), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == written(tuned)
    assert "budget: 2 trials" in done.stderr
