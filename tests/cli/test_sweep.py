import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from deconfound.cli import sweep as cli_sweep
from deconfound.errors import RunError, SpecError
from deconfound.sweeps.jobs import is_trained

TEXT = """
seeds = 1
[base.backbone]
hidden = 8
[base.train]
epochs = 2
batch_size = 16
accelerator = "cpu"
[[dataset]]
name = "toy"
synthetic = {rows = 64}
[[method]]
name = "erm"
[[method]]
name = "cmir"
[[evaluation.tables]]
name = "test-flip"
split = "test-flip"
"""


def run(*words: object) -> None:
    root = typer.Typer()
    root.command("other")(lambda: None)
    root.add_typer(cli_sweep.app, name="sweep")
    root([str(word) for word in words], standalone_mode=False)


@pytest.fixture
def spec(tmp_path) -> Path:
    path = tmp_path / "a sweep.toml"
    path.write_text(TEXT)
    return path


def test_jobs_are_printed_as_commands_done_one_by_one_and_then_finished(spec, tmp_path, capsys):
    out = tmp_path / "out dir"
    run("sweep", spec, "--out", out, "--print")
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert len(commands) == 2
    for command in commands:
        assert command[:-1] == ["deconfound", "sweep", str(spec), "--out", str(out), "--job"]
    run(*commands[0][1:])
    assert is_trained(out / "runs" / commands[0][-1])
    run("sweep", "--print", spec, "--out", out, "--json")
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])) == 1
    run("sweep", "--out", out, spec)
    shown = capsys.readouterr().out
    assert "budget: 1 configurations × 1 seeds for each method on each dataset; 2 runs; selection by 'valid'" in shown
    assert "toy: erm: default (draw 0), valid risk " in shown
    run("sweep", "status", out)
    assert "sweep: 2/2 runs; selection by valid" in capsys.readouterr().out
    run("sweep", "status", out, "--watch", "--json")
    assert json.loads(capsys.readouterr().out)["states"]["evaluated"] == 2
    run("sweep", spec, "--out", out, "--print")
    assert capsys.readouterr().out == ""
    run("sweep", spec, "--out", out, "--json")
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["runs"]) == 2
    assert summary["budget"]["runs"] == 2


def test_of_two_stages_the_first_is_printed_and_the_second_announced(spec, tmp_path, capsys):
    two = (
        "seeds = 3\ndraws = 2\nselection = {seeds = 1}\nsearch = {train = {learning_rate = {low = 1e-4, high = 1e-2}}}"
    )
    spec.write_text(TEXT.replace("seeds = 1", two))
    run("sweep", spec, "--out", tmp_path / "out", "--print")
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 4
    assert (
        output.err == "these 4 jobs judge the draws; once they are done, --print lists 4 more, for the chosen draws\n"
    )


def test_what_could_not_be_finished_is_an_error_after_the_result(spec, tmp_path, monkeypatch, capsys):
    from deconfound.methods.cmir import CmIR

    monkeypatch.setattr(CmIR, "loss", lambda *given: 1 / 0)
    with pytest.raises(RunError, match=r"cmir on toy could not be finished: division by zero; .*tries again"):
        run("sweep", spec, "--out", tmp_path / "out")
    assert "toy: erm: default" in capsys.readouterr().out
    run("sweep", "status", tmp_path / "out")
    assert "division by zero" in capsys.readouterr().out
    (name,) = [path.parent.name for path in tmp_path.rglob("error.json")]
    with pytest.raises(RunError, match=f"the job {name} did not finish: division by zero"):
        run("sweep", spec, "--out", tmp_path / "out", "--job", name)


def test_executors_are_checked_before_any_training(spec, tmp_path):
    with pytest.raises(SpecError, match="no executor 'slurm'"):
        run("sweep", spec, "--out", tmp_path / "out", "--executor", "slurm")
    with pytest.raises(SpecError, match="needs the executor 'processes'"):
        run("sweep", spec, "--out", tmp_path / "out", "--workers", 4)
    assert not (tmp_path / "out" / "runs").exists()


def test_help_teaches_and_loads_no_torch():
    script = (
        "import sys, typer\n"
        "from deconfound.cli import sweep as cli_sweep\n"
        "for words in (['--help'], ['run', '--help'], ['status', '--help']):\n"
        "    cli_sweep.app(words, standalone_mode=False)\n"
        "assert not {'torch', 'pandas', 'lightning'} & set(sys.modules)\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for word in ("[[method]]", "leave-one-environment-out", "--print", "--executor", "evaluated  chosen", "--watch"):
        assert word in shown


def test_the_chosen_runs_of_a_sweep_are_evaluated_on_another_corpus(spec, tmp_path, capsys):
    from deconfound.cli import app as cli
    from deconfound.data import store
    from deconfound.datasets.synthetic import synthetic
    from deconfound.sweeps.jobs import read_selection
    from deconfound.tables import build_tables

    out = tmp_path / "out"
    run("sweep", "run", spec, "--out", out)
    before = {entry["method"]: entry["runs"] for entry in read_selection(out)}
    other = store.save(synthetic(rows=64, seed=3, name="other"), tmp_path / "other")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", str(out), "--store", str(other), "--split", "test-iid", "--json"])
    assert ended.value.code == 0
    assert {line["run"] for line in json.loads(capsys.readouterr().out)} == {
        n for runs in before.values() for n in runs
    }
    assert [(t.dataset, t.trained_on, len(t.lines)) for t in build_tables([out])] == [
        ("synthetic", (), 2),
        ("other", ("synthetic",), 2),
    ]
    run("sweep", "run", spec, "--out", out)
    assert {entry["method"]: entry["runs"] for entry in read_selection(out)} == before
