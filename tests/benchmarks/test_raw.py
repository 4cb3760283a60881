"""The corpora of raw files that benchmarks make: what is left out stays out, and sweeps name the stores that are made."""

from __future__ import annotations

import csv
import runpy
import sys
import tomllib
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deconfound.datasets.readers.table import read_table
from deconfound.errors import DataError
from deconfound.runs.spec import Spec
from deconfound.sweeps.spec import SweepSpec

ROOT = Path(__file__).parents[2]
RAW = ROOT / "benchmarks" / "raw"
sys.path.insert(0, str(RAW))
import digit_files  # noqa: E402
import spoken  # noqa: E402

SWEEPS = runpy.run_path(str(RAW / "run.py"))
TEXT = runpy.run_path(str(ROOT / "benchmarks" / "text" / "mosi.py"))


def beep(text: str, voice: str, speed: int, pitch: int, path: Path) -> None:
    """Another sound for each text, as short as can be."""
    samples = np.random.default_rng([len(text), speed, pitch]).integers(-999, 999, 400, dtype=np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


def test_a_voice_that_is_left_out_is_in_its_test_alone(tmp_path: Path) -> None:
    tables = spoken.make(tmp_path, beep)
    assert len(tables) == 2 * len(spoken.VOICES)
    with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for voice in spoken.VOICES:
        held: dict[str, set[str]] = {}
        for row in rows:
            held.setdefault(row[f"without {voice}"], set()).add(row["voice"])
        assert held["test-voice"] == {voice}
        assert len(held["valid"]) == 1
        assert held["train"] == held["test-iid"]
        assert not held["train"] & (held["valid"] | {voice})
    words = Counter(row["word"] for row in rows)
    assert len(set(words.values())) == 1
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    spoken.make(tmp_path, lambda *_: pytest.fail("made twice"))
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}


def test_without_the_program_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt install espeak-ng"):
        spoken.espeak("yes", "en", 150, 50, tmp_path / "a.wav")


def test_digits_are_written_as_they_are_and_noisy_ones_are_those_of_test(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (80, 784), dtype=np.uint8)
    source = tmp_path / "mnist.npz"
    np.savez(source, X=pictures, y=np.repeat(np.arange(10), 8))
    tables = digit_files.make(source, tmp_path / "digits", 80)
    dataset = read_table(next(table for table in tables if table.stem == "pixels"))
    assert {name: len(rows) for name, rows in dataset.splits.items()} == {
        "train": 50,
        "valid": 10,
        "test": 20,
        "test-noisy": 20,
    }
    ids = dataset.columns["id"].values.tolist()
    names = {split: {ids[row] for row in rows} for split, rows in dataset.splits.items()}
    assert names["test-noisy"] == {f"{name}-noisy" for name in names["test"]}
    for name in names["train"]:
        with Image.open(tmp_path / "digits" / "images" / f"{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image).reshape(-1), pictures[int(name)])
    with pytest.raises(DataError, match="lower --rows"):
        digit_files.make(source, tmp_path / "more", 90)


@pytest.mark.parametrize("name", SWEEPS["SWEEPS"])
def test_a_sweep_names_the_stores_that_are_made_for_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken, "espeak", beep)
    monkeypatch.setattr(spoken.make, "__defaults__", (beep,))
    monkeypatch.setattr(digit_files, "make", lambda *_: [tmp_path / f"{stem}.toml" for stem in digit_files.EXTRACTORS])
    made = {store.name for store in SWEEPS["stores"](name, tmp_path, tmp_path)}
    content = tomllib.loads((RAW / f"{name}.toml").read_text(encoding="utf-8"))
    assert {Path(entry["store"]).name for entry in content["dataset"]} == made
    assert {Path(entry["store"]).parent for entry in content["dataset"]} == {Path("../..") / SWEEPS["OUT"] / "stores"}
    SweepSpec.read(RAW / f"{name}.toml")


def test_the_rows_of_the_text_benchmark_are_specifications_with_titles_of_their_own() -> None:
    titles = [Spec.of(values).title for values in TEXT["ROWS"].values()]
    assert len(set(titles)) == len(titles)
    assert TEXT["BASELINE"] in titles
