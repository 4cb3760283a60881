"""`deconfound data`: what is written, what is printed, and that a failure leaves nothing behind."""

import errno
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from deconfound.cli.data import app
from deconfound.data import store
from deconfound.data.store import check_store, open_store
from deconfound.errors import DataError, DeconfoundError, SpecError, StoreError


def corpus(rows=30):
    generator = np.random.default_rng(0)
    content = {}
    for split in ("train", "valid", "test"):
        content[split] = {
            "id": [f"{split}{i // 5}$_${i}" for i in range(rows)],
            "text": generator.normal(size=(rows, 4, 3)).astype(np.float32),
            "audio": generator.normal(size=(rows, 2)).astype(np.float32),
            "regression_labels": generator.uniform(-3, 3, rows),
        }
    content["train"]["text"][0, 1] = -np.inf
    return content


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "made.pkl"
    path.write_bytes(pickle.dumps(corpus()))
    return path


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_import_check_describe(source, tmp_path):
    out = tmp_path / "stores" / "made"
    printed = call("import", source, "--format", "mmsa", "--out", out, "--name", "mine").output
    assert f"wrote {out}: train 30, valid 30, test 30 rows" in printed
    assert "text: masked 1 infinite steps" in printed
    assert open_store(out).name == "mine"
    assert "is sound: 90 rows" in call("check", out).output
    assert json.loads(call("check", out, "--json").output)["checksum"] == check_store(out).checksum
    described = call("describe", out, "--out", tmp_path / "made.svg").output
    assert "text" in described
    assert f"wrote {tmp_path / 'made.svg'}" in described
    printed = json.loads(call("describe", out, "--json", "--out", tmp_path / "made.html").output)
    assert printed["rows"] == {"train": 30, "valid": 30, "test": 30}
    assert (tmp_path / "made.html").stat().st_size > 1000


def test_the_format_is_guessed_and_named(source, tmp_path):
    printed = call("import", source, "--out", tmp_path / "made").output
    assert printed.startswith("read with --format mmsa, because this looks like a pickle of MMSA\n")
    printed = json.loads(call("import", source, "--format", "auto", "--out", tmp_path / "again", "--json").output)
    assert printed["guessed_format"] == printed["provenance"]["format"] == "mmsa"
    with pytest.raises(DataError, match="this looks like a pickle of MMSA: use --format mmsa"):
        call("import", source, "--format", "multibench", "--out", tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_import_prints_json(source, tmp_path):
    out = tmp_path / "made"
    printed = json.loads(call("import", source, "--format", "mmsa", "--out", out, "--json").output)
    assert printed["store"] == str(out)
    assert printed["rows"] == {"train": 30, "valid": 30, "test": 30}
    assert printed["provenance"]["masks"]["text"]["infinite_steps"] == 1


def test_import_of_a_table(tmp_path):
    (tmp_path / "rows.csv").write_text(
        "id,y,split\n" + "".join(f"r{i},{i},{'train' if i < 6 else 'valid'}\n" for i in range(9))
    )
    np.save(tmp_path / "a.npy", np.ones((9, 2)))
    toml = 'manifest = "rows.csv"\n[target]\ncolumn = "y"\nkind = "regression"\n[split]\ncolumn = "split"\n'
    (tmp_path / "t.toml").write_text(toml + '[modalities.a]\nfile = "a.npy"\n')
    call("import", tmp_path / "t.toml", "--format", "table", "--out", tmp_path / "store")
    dataset = open_store(tmp_path / "store")
    assert (dataset.name, len(dataset)) == ("t", 9)


def test_import_of_synthetic_data(tmp_path):
    (tmp_path / "parameters.toml").write_text("rows = 40\nmodalities = 2\nseed = 3\n")
    call("import", tmp_path / "parameters.toml", "--format", "synthetic", "--out", tmp_path / "store")
    assert list(open_store(tmp_path / "store").signals) == ["m1", "m2"]
    call("import", "default", "--format", "synthetic", "--out", tmp_path / "default")
    assert len(open_store(tmp_path / "default").splits["train"]) == 2000
    (tmp_path / "parameters.toml").write_text("rwos = 40\n")
    with pytest.raises(SpecError, match="did you mean 'rows'"):
        call("import", tmp_path / "parameters.toml", "--format", "synthetic", "--out", tmp_path / "bad")


@pytest.mark.parametrize("layout", ["mmsa", "table", "synthetic"])
def test_missing_source(tmp_path, layout):
    with pytest.raises(DataError, match="No such file") as caught:
        call("import", tmp_path / "none", "--format", layout, "--out", tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_kept_and_the_source_not_read(tmp_path):
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreError, match="exists already"):
        call("import", tmp_path / "none.pkl", "--format", "mmsa", "--out", tmp_path / "store")


def test_check_finds_a_flipped_byte(source, tmp_path):
    out = tmp_path / "store"
    call("import", source, "--format", "mmsa", "--out", out)
    data = bytearray((out / "data.safetensors").read_bytes())
    data[-1] ^= 1
    (out / "data.safetensors").write_bytes(bytes(data))
    with pytest.raises(StoreError, match="checksum"):
        call("check", out)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("where", ["mkdtemp", "replace"])
def test_a_disk_that_refuses_leaves_nothing_behind(source, tmp_path, monkeypatch, code, where):
    def refuse(*_, **__):
        raise OSError(code, "refused for this test")

    monkeypatch.setattr(tempfile if where == "mkdtemp" else os, where, refuse)
    with pytest.raises(StoreError, match=r"cannot write .*refused for this test"):
        call("import", source, "--format", "mmsa", "--out", tmp_path / "out" / "store")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_file_where_the_folder_should_be(source, tmp_path):
    with pytest.raises(StoreError, match="cannot write"):
        call("import", source, "--format", "mmsa", "--out", source / "store")


def test_a_disk_that_fills_up_while_writing(source, tmp_path):
    """A real short write: the process may not make files longer than 1 kB, so the store's arrays do not fit."""
    program = (
        "import resource, sys\nimport deconfound.cli.data, torch, safetensors.torch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))\n"
        "from deconfound.cli.app import main\n"
        "main(['data', 'import', sys.argv[1], '--format', 'mmsa', '--out', sys.argv[2]])\n"
    )
    assert hasattr(resource, "RLIMIT_FSIZE")
    command = [sys.executable, "-c", program, str(source), str(tmp_path / "out" / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("deconfound: cannot write")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_malicious_pickle_is_one_line_and_runs_nothing(tmp_path):
    class Touch:
        def __reduce__(self):
            import os

            return (os.system, (f"touch {tmp_path}/ran",))

    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"train": Touch()}))
    with pytest.raises(DeconfoundError, match=r"posix\.system") as caught:
        call("import", tmp_path / "bad.pkl", "--format", "mmsa", "--out", tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("command", [[], ["import"], ["check"], ["describe"]])
def test_help_teaches_with_an_example(command):
    printed = CliRunner().invoke(app, [*command, "--help"]).output
    assert "deconfound data" in printed


def test_help_loads_no_torch():
    program = (
        "import sys\nimport deconfound.cli.data\nassert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_protocol_and_task_at_import_and_labels_in_another_range(tmp_path):
    content = corpus()
    for part in content.values():
        part["regression_labels"] = np.round(part["regression_labels"] / 3)
        part["classification_labels"] = part["regression_labels"] + 1
    path = tmp_path / "small.pkl"
    path.write_bytes(pickle.dumps(content))
    options = ("import", path, "--format", "mmsa", "--out")
    assert "the protocol 'mmsa-regression' is for [-3, 3]" in call(*options, tmp_path / "a").output
    assert "warning" not in call(*options, tmp_path / "b", "--protocol", "sims").output
    call(*options, tmp_path / "c", "--task", "classification")
    assert open_store(tmp_path / "c").task.classes == ("0", "1", "2")
    with pytest.raises(DataError, match="judges regression"):
        call(*options, tmp_path / "d", "--task", "classification", "--protocol", "sims")
    assert not (tmp_path / "d").exists()
    for part in content.values():
        part |= {f"regression_labels_{letter}": part["regression_labels"] for letter in "TAV"}
    path.write_bytes(pickle.dumps(content))
    assert "warning" not in call(*options, tmp_path / "e").output
    assert open_store(tmp_path / "e").task.protocol == "sims"


def test_check_prints_findings_and_evaluate_names_classes_that_are_never_found(tmp_path):
    from deconfound.cli.evaluate import evaluate_runs, evaluation_warnings
    from deconfound.data.dataset import Dataset
    from deconfound.data.signal import Signal
    from deconfound.data.task import Task
    from deconfound.runs.spec import Spec
    from deconfound.training.train import train_run

    split = ["train"] * 60 + ["valid"] * 30 + ["test"] * 30
    target = (torch.arange(120) % 30 == 0).long()
    signal = Signal(torch.randn(120, 1, 2, generator=torch.Generator().manual_seed(0)), torch.ones(120, 1).bool())
    task = Task.classification(("no", "yes"))
    dataset = Dataset.build("rare", task, {"x": signal}, target, {"id": list(range(120))}, split)
    store.save(dataset, tmp_path / "rare")
    printed = call("check", tmp_path / "rare")
    assert printed.exit_code == 0
    assert "warning: classes are imbalanced: 2 of 60 rows of train are 'yes'" in printed.output
    assert "imbalanced" in json.loads(call("check", tmp_path / "rare", "--json").output)["warnings"][0]
    settings = {"method": "erm", "data": {"store": str(tmp_path / "rare")}, "train": {"epochs": 1, "threads": 1}}
    run = train_run(Spec.of(settings), tmp_path / "run").path
    evaluate_runs([run])
    assert any("scenario 'test': the recall of the worst class is 0" in line for line in evaluation_warnings([run]))


def test_the_cache_of_extracted_features_is_shown_and_emptied(tmp_path, monkeypatch):
    from deconfound.extraction.cache import ArrayCache

    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path))
    with ArrayCache(tmp_path, {"name": "pixels"}) as arrays:
        arrays.put({b"k" * 32: np.zeros(500_000, np.float32)})
    shown = json.loads(CliRunner().invoke(app, ["cache", "--json"]).stdout)
    assert shown["folder"] == str(tmp_path)
    assert sum(shown["files"].values()) > 2_000_000
    assert "deleted from" in CliRunner().invoke(app, ["cache", "--clear"]).stdout
    assert list(tmp_path.glob("*.sqlite*")) == []


def test_an_import_takes_validation_rows_where_it_is_told_to_and_offers_it_else(tmp_path):
    content = corpus()
    del content["valid"]
    content["test"]["text"][3] = content["train"]["text"][7]
    content["test"]["audio"][3] = content["train"]["audio"][7]
    source = tmp_path / "made.pkl"
    source.write_bytes(pickle.dumps(content))
    printed = call("import", source, "--format", "mmsa", "--out", tmp_path / "without").output
    assert "warning: there is no split 'valid'; training needs it: take a share of train: valid = 0.15" in printed
    assert "warning: 1 of 30 rows of test equal rows of train in all modalities" in printed
    printed = call("import", source, "--format", "mmsa", "--out", tmp_path / "with", "--valid", "0.2").output
    assert "train 20, valid 10, test 30 rows" in printed
    assert (
        "took 10 of 30 rows of train as 'valid' (whole groups of video, labels in about equal shares, seed 0)"
        in printed
    )
    assert "no split 'valid'" not in printed
    assert open_store(tmp_path / "with").group == ("video",)
    with pytest.raises(DataError, match=r"valid = 1.5: give a share"):
        call("import", source, "--format", "mmsa", "--out", tmp_path / "never", "--valid", "1.5")
    assert not (tmp_path / "never").exists()
