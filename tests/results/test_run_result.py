"""Reading run directories: what is there is read, what is missing or damaged is refused in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.results.run_result import read_run
from support.fabricate import fabricate


def test_a_run_directory_is_read(tmp_path: Path) -> None:
    run = read_run(fabricate(tmp_path / "a", method="cmir", seed=2, name="ours"))
    assert (run.folder, run.label, run.method, run.seed) == ("a", "ours", "cmir", 2)
    assert run.modalities == ("text (16)", "audio (16)", "vision (16)")
    assert (run.best_epoch, run.epochs, run.parameters) == (20, 30, 12345)
    assert list(run.splits) == ["train", "valid", "test-iid", "test-flip", "test-zero"]


def test_steps_of_an_epoch_are_averaged(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    log = "step,epoch,split,term,value\n0,0,train,total,1.0\n1,0,train,total,2.0\n2,1,train,total,nan\n3,1,train,to"
    (folder / "log.csv").write_text(log)
    curve = read_run(folder).curves["train", "total"]
    assert curve[0] == 1.5
    assert math.isnan(curve[1])


@pytest.mark.parametrize("name", ["spec.json", "environment.json", "done.json", "log.csv", "records.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = fabricate(tmp_path / "a")
    (folder / name).unlink()
    with pytest.raises(RunError, match=name) as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.json", "{"),
        ("spec.json", "[1]"),
        ("spec.json", "{}"),
        ("spec.json", '{"seed": "0", "method": {"name": "erm"}}'),
        ("spec.json", '{"seed": 0, "method": {"name": "\\ud800"}}'),
        ("spec.json", "[" * 100_000),
        ("environment.json", '{"data": 3}'),
        ("environment.json", '{"data": {"name": "x", "checksum": "y", "splits": [], "modalities": {}}}'),
        ("done.json", '{"epochs": 1, "best_epoch": 1, "best_risk": NaN, "seconds": 1, "parameters": 1}'),
        ("done.json", '{"epochs": true, "best_epoch": 1, "best_risk": 1, "seconds": 1, "parameters": 1}'),
        ("log.csv", "a,b\n"),
        ("log.csv", ""),
        ("log.csv", "step,epoch,split,term,value\n0,one,train,total,1\n"),
        ("records.jsonl", "\n"),
        ("records.jsonl", "{}\n"),
        ("records.jsonl", '{"a": '),
    ],
)
def test_damage_is_refused_in_one_line(tmp_path: Path, name: str, text: str) -> None:
    folder = fabricate(tmp_path / "a")
    (folder / name).write_text(text)
    with pytest.raises(RunError, match=str(folder.name)) as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(folder)) + 400


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    (folder / "log.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="not UTF-8"):
        read_run(folder)


@pytest.mark.parametrize("extra", ["again", "half"])
def test_records_that_cannot_be_shown_are_refused(tmp_path: Path, extra: str) -> None:
    folder = fabricate(tmp_path / "a")
    lines = (folder / "records.jsonl").read_text().splitlines()
    line = lines[0] if extra == "again" else json.dumps(json.loads(lines[0]) | {"split": "\ud800"})
    (folder / "records.jsonl").write_text("\n".join([*lines, line]))
    with pytest.raises(RunError, match="twice" if extra == "again" else "half a character"):
        read_run(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run directory"):
        read_run(tmp_path / "none")
