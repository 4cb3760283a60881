"""One boundary around everything that is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deconfound.causal.graph import Graph
from deconfound.cli.app import main
from deconfound.data.store import open_store
from deconfound.datasets.arrays import read_array
from deconfound.datasets.manifest import read_manifest
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DeconfoundError, RunError
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import read_records
from deconfound.evaluation.scenario import read_scenarios
from deconfound.io.reading import FileKind, parse_json, read_bytes, read_text, reading
from deconfound.prediction.rows import read_jsonl
from deconfound.runs.checkpoint import read_checkpoint
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.sweeps.spec import SweepSpec

KIND = FileKind("letter", RunError, "write another one")

READERS: dict[str, Callable[[Path], object]] = {
    "a.toml": Spec.read,
    "b.toml": SweepSpec.read,
    "c.toml": read_scenarios,
    "d.toml": Graph.read,
    "a.csv": read_manifest,
    "a.jsonl": read_manifest,
    "a.parquet": read_manifest,
    "a.npy": read_array,
    "a.npz": read_array,
    "a.pkl": read_pickle,
    "p.npz": load_predictions,
    "records.jsonl": read_records,
    "log.csv": read_log,
    "last.safetensors": read_checkpoint,
    "rows.jsonl": lambda path: list(read_jsonl(path, {})),
    "run/spec.json": lambda path: Run.open(path.parent),
    "store/dataset.json": lambda path: open_store(path.parent),
}


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [make_pipe, make_device, make_loop, Path.mkdir])
@pytest.mark.parametrize("name", [name for name in READERS if name != "records.jsonl"])
def test_only_regular_files_are_read(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(DeconfoundError) as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in READERS if name != "records.jsonl"])
@pytest.mark.parametrize("folder", ["x" * 300, "a\0b", "x/" * 3000])
def test_paths_that_no_file_can_have_are_refused(tmp_path: Path, name: str, folder: str) -> None:
    with pytest.raises(DeconfoundError) as caught:
        READERS[name](tmp_path / folder / name)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("make", [make_pipe, make_device, Path.mkdir])
def test_records_are_a_regular_file_or_missing(tmp_path: Path, make: Callable[[Path], object]) -> None:
    assert read_records(tmp_path / "records.jsonl") == []
    make(tmp_path / "records.jsonl")
    with pytest.raises(RunError, match="not a file"):
        read_records(tmp_path / "records.jsonl")


def test_any_exception_becomes_one_line_about_the_file() -> None:
    with pytest.raises(RunError, match=r"^the letter a is damaged \(x y\); write another one$"), reading("a", KIND):
        raise LookupError("x\ny")
    with pytest.raises(RunError, match=r"^the letter a is damaged \(MemoryError\)"), reading("a", KIND):
        raise MemoryError
    with pytest.raises(RunError, match=r"^mine$"), reading("a", KIND):
        raise RunError("mine")


def test_text_is_utf8(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(RunError, match="not UTF-8 text, byte 2"):
        read_text(tmp_path / "a", KIND)


def test_a_file_of_the_system_that_says_it_is_empty_is_read_whole() -> None:
    assert read_bytes("/proc/self/status", KIND).startswith(b"Name:")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "9" * 5000, "[" * 65 + "]" * 65, '"\\ud800"', b'"\xed\xa0\x80"', "NaN", "{"]
)
def test_json_that_breaks_its_readers_later_is_refused(text: str | bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_json(text)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "LONG", "--out", "x"],
        ["report", "LONG"],
        ["evaluate", "LONG"],
        ["data", "check", "LONG"],
        ["table", "LONG"],
        ["sweep", "status", "LONG"],
        ["predict", "LONG", "LONG"],
        ["report", "LOOP"],
        ["evaluate", "LOOP"],
    ],
)
def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_loop(tmp_path / "loop")
    with pytest.raises(SystemExit) as ended:
        main([word.replace("LONG", "x" * 300).replace("LOOP", "loop") for word in words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
