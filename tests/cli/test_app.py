import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deconfound.api import fit
from deconfound.cli import app as cli
from deconfound.cli.command_group import COMMANDS
from deconfound.data import store
from deconfound.datasets.synthetic import synthetic
from deconfound.evaluation.scenario import SkippedScenarioWarning
from deconfound.registry import KINDS
from support.small import FAST, small_run

SPEC = f"""
method = "cmir"
[data]
store = "data"
[backbone]
hidden = 8
[train]
epochs = {FAST["epochs"]}
batch_size = 16
accelerator = "cpu"
"""


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder whose name has a space, with a store, a specification and an evaluated run."""
    folder = tmp_path_factory.mktemp("a home")
    store.save(synthetic(rows=64), folder / "data")
    (folder / "spec.toml").write_text(SPEC)
    assert run("train", folder / "spec.toml", "--out", folder / "run") == 0
    assert run("evaluate", folder / "run") == 0
    return folder


def test_help_loads_no_torch_and_names_every_command():
    script = (
        "import sys, time\n"
        "from deconfound.cli import app as cli\n"
        "assert cli._run(['--help'], False) == 0\n"
        "assert not {'torch', 'pandas', 'altair', 'lightning'} & set(sys.modules), 'heavy import'\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    commands = shown.stdout.split("Commands:")[1].strip().splitlines()
    assert [line.split()[0] for line in commands if not line.startswith("   ")] == list(COMMANDS)


def test_the_order_of_work_holds_every_command():
    names = {command.name or getattr(command.callback, "__name__", "") for command in cli.app.registered_commands}
    assert names | {group.name for group in cli.app.registered_groups} == set(COMMANDS)


def test_the_version_is_that_of_the_installed_package(capsys):
    import deconfound

    assert run("--version") == 0
    assert capsys.readouterr().out == f"deconfound {importlib.metadata.version('deconfound')}\n"
    assert deconfound.__version__ == importlib.metadata.version("deconfound")


def test_importing_the_package_loads_no_torch():
    script = "import sys, deconfound; dir(deconfound); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("command", ["demo", "list", "show", "train", "evaluate", "predict", "report", "data"])
def test_every_command_has_help(command, capsys):
    assert run(command, "--help") == 0
    assert len(capsys.readouterr().out) > 150


def test_every_public_name_can_be_imported():
    import deconfound

    for name in deconfound.__all__:
        assert getattr(deconfound, name) is not None
    with pytest.raises(AttributeError):
        _ = deconfound.nothing


def test_train_evaluate_predict_report(home, capsys):
    assert run("train", home / "spec.toml", "--out", home / "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 3
    assert run("evaluate", home / "run", "--json") == 0
    scenarios = {row["scenario"] for row in json.loads(capsys.readouterr().out)}
    assert {"valid", "test-iid", "test-flip", "test-zero", "gaussian", "present=m1"} <= scenarios
    assert run("report", home / "run", "--out", home / "report.html") == 0
    assert (home / "report.html").read_text().lower().startswith("<!doctype html>")


def test_predict_writes_a_row_per_input(home, capsys):
    rows = [{"id": "a", "m1": [0.0] * 10}, {"id": "b", "m2": [0.0] * 10, "m3": [1.0] * 10}]
    (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    capsys.readouterr()
    assert run("predict", home / "run", home / "rows.jsonl") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id,prediction"
    assert [line.split(",")[0] for line in lines[1:]] == ["a", "b"]
    assert run("predict", home / "run", home / "data", "--out", home / "p.jsonl", "--json") == 0
    assert json.loads((home / "p.jsonl").read_text().splitlines()[0]).keys() == {"id", "prediction"}


def test_predict_into_a_closed_pipe_is_silent(home):
    command = [sys.executable, "-m", "deconfound.cli", "predict", str(home / "run"), str(home / "data")]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_no_progress_bar_in_a_pipe(tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC.replace('store = "data"', "synthetic = {rows = 64}"))
    command = [
        sys.executable,
        "-m",
        "deconfound.cli",
        "train",
        str(tmp_path / "spec.toml"),
        "--out",
        str(tmp_path / "r"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    first, encoders, *notes = ended.stdout.splitlines()
    assert "3 epochs" in first
    assert encoders.startswith("  encoded: ")
    assert all(note.startswith(("  the best epoch is", "  standard budget for")) for note in notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train"], "Missing argument"),
        (["train", "none.toml", "--out", "x"], "cannot read the specification none.toml"),
        (["train", "SPEC", "--out", "RUN", "--seed", "3"], "another specification (seed is 0 here and 3 there)"),
        (["evaluate", "nowhere"], "nowhere does not exist"),
        (["predict", "RUN", "none.jsonl"], "none.jsonl"),
        (["predict", "RUN", "BAD"], "this run expects"),
        (["report", "nowhere"], "nowhere"),
        (["show", "cmri"], "did you mean 'cmir'"),
        (["data", "check", "nowhere"], "nowhere does not exist"),
    ],
)
def test_mistakes_exit_with_2_and_one_line(home, capsys, words, message, monkeypatch):
    monkeypatch.chdir(home)
    (home / "bad.jsonl").write_text('{"id": "a", "text": [1]}\n')
    places = {"SPEC": "spec.toml", "RUN": "run", "BAD": "bad.jsonl"}
    capsys.readouterr()
    assert run(*[places.get(word, word) for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_our_own_faults_exit_with_1_and_debug_shows_the_traceback(monkeypatch, capsys):
    from deconfound import registry

    def broken(kind: str) -> list[str]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(registry, "names", broken)
    assert run("list") == 1
    assert "bug in deconfound (ZeroDivisionError: oh)" in capsys.readouterr().err
    assert run("--debug", "list") == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_exits_with_130(monkeypatch, capsys):
    from deconfound import registry

    def stop(kind: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "names", stop)
    assert run("list") == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["erm", "cmir", "mlp", "gru", "concat", "gaussian", "mmsa", "synthetic", "train", "backbone"]
)
def test_show_explains_every_argument(name, capsys):
    assert run("show", name, "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["description"]
    assert all(argument["description"] for argument in card["arguments"])
    assert run("show", name) == 0
    assert card["name"] in capsys.readouterr().out


def test_show_writes_types_and_ranges_of_tuple_entries(capsys):
    assert run("show", "synthetic") == 0
    assert "rho: tuple[float, ...]  (default (0.9, 0.6, 0.2); each ≥ -1 and ≤ 1)" in capsys.readouterr().out


def test_list_names_the_components(capsys):
    assert run("list", "--json") == 0
    components = json.loads(capsys.readouterr().out)
    assert {"erm", "cmir"} <= set(components["methods"])
    assert {"irm", "group-dro"} <= set(components["penalties"])
    assert {"mmsa", "table"} <= set(components["readers"])
    assert set(components) == set(KINDS)


def test_the_demo_writes_a_report_and_runs_again(tmp_path, capsys):
    for _ in range(2):
        assert run("demo", "--out", tmp_path / "demo", "--epochs", 1) == 0
    assert (tmp_path / "demo" / "report.html").is_file()
    assert "cmir-0" in capsys.readouterr().out


def test_a_moved_store_can_be_named(tmp_path, capsys):
    store.save(synthetic(rows=64), tmp_path / "data")
    made = small_run(tmp_path / "run", data={"store": str(tmp_path / "data")})
    (tmp_path / "data").rename(tmp_path / "moved")
    assert run("evaluate", made.path) == 2
    assert run("evaluate", made.path, "--store", tmp_path / "moved") == 0


def test_another_corpus_can_be_evaluated_and_is_shown_apart(tmp_path, capsys):
    store.save(synthetic(rows=64), tmp_path / "data")
    store.save(synthetic(rows=64, seed=1, name="other"), tmp_path / "other")
    store.save(synthetic(rows=64, seed=1, modalities=2), tmp_path / "small")
    made = small_run(tmp_path / "run", data={"store": str(tmp_path / "data")})
    assert run("evaluate", made.path) == 0
    capsys.readouterr()
    assert run("evaluate", made.path, "--store", tmp_path / "other", "--split", "test-iid", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert {line["dataset"] for line in printed} == {"other"}
    assert "test-flip" not in {line["scenario"] for line in printed}
    assert run("evaluate", made.path, "--store", tmp_path / "small") == 2
    error = capsys.readouterr().err
    assert error.startswith("deconfound: the corpus 'synthetic' has no modality 'm3', which the run needs")
    assert len(error.splitlines()) == 1
    assert run("table", made.path, "--format", "csv", "--out", tmp_path / "table.csv") == 0
    assert {path.name for path in tmp_path.glob("table-*.csv")} == {
        "table-synthetic-regression.csv",
        "table-other-regression.csv",
    }


def test_a_run_of_fit_asks_the_command_line_for_a_store(tmp_path, capsys):
    made = fit(synthetic(rows=64), "erm", out=tmp_path / "run", train=FAST, progress=False)
    for command in ("evaluate", "predominance", "diagnose"):
        capsys.readouterr()
        assert run(command, made.path) == 2
        assert "give the dataset: dataset= in Python, --store on the command line" in capsys.readouterr().err
    assert run("evaluate", made.path, "--store", store.save(synthetic(rows=64), tmp_path / "data")) == 0


def test_scenarios_for_other_modalities_are_skipped_unless_none_is_left(tmp_path, capsys):
    both = small_run(tmp_path / "both")
    one = small_run(tmp_path / "one", data={"synthetic": {"rows": 64}, "modalities": ["m1"]})
    asked = tmp_path / "asked.toml"
    asked.write_text('[[scenario]]\nname = "heard"\nsplit = "test-iid"\npresent = ["m2"]\n')
    note = "uses only m1; skipped the scenarios that need more: heard"
    with pytest.warns(SkippedScenarioWarning, match=note):
        assert run("evaluate", both.path, one.path, "--scenarios", asked, "--json") == 0
    assert [(line["run"], line["scenario"]) for line in json.loads(capsys.readouterr().out)] == [("both", "heard")]
    with pytest.warns(SkippedScenarioWarning, match=note):
        assert run("evaluate", one.path, "--scenarios", asked) == 2
    assert "no scenario was evaluated: each needs a modality that its run does not use" in capsys.readouterr().err
