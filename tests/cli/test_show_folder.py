"""`deconfound show FOLDER`: the encoder, extractor and model of each modality of a run or store."""

import json
from pathlib import Path

import pytest

from deconfound.api import fit
from deconfound.cli.show_folder import describe_folder, folder_lines
from deconfound.data.store import save
from deconfound.datasets.in_memory import dataset


def test_defaults_that_were_chosen_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))
    rows = [{"text": f"{word} {n}", "numbers": [n, 1.0], "label": word} for n in range(10) for word in ("good", "bad")]
    data = dataset(rows, target="label", text="text", numbers="numbers", extractors={"text": "word-pieces"}, quiet=True)
    save(data, tmp_path / "store")
    backbone = {"encoders": {"numbers": {"name": "mlp"}}}
    fit(data.only("numbers"), "erm", out=tmp_path / "run", backbone=backbone, train={"epochs": 1}, progress=False)
    store, run = describe_folder(tmp_path / "store"), describe_folder(tmp_path / "run")
    assert json.loads(json.dumps([store, run])) == [store, run]
    assert store["modalities"]["text"]["preparation"]["extractor"]["name"] == "word-pieces"
    assert "  text: text of the column 'text', read by word-pieces (model all-MiniLM-L6-v2 most 128)" in folder_lines(
        store
    )
    assert run["modalities"] == {"numbers": {"reads": "numbers vector 1×2", "encoder": "mlp"}}
    assert folder_lines(run) == [f"{tmp_path / 'run'} (run)", "  method: erm", "  numbers vector 1×2, encoder mlp"]


def test_columns_of_a_table_are_shown_with_their_kinds(tmp_path: Path) -> None:
    rows = [
        {"age": float(n), "city": "Oslo" if n % 3 else "Rome", "label": word}
        for n in range(10)
        for word in ("good", "bad")
    ]
    data = dataset(rows, target="label", record=["age", "city"], quiet=True)
    save(data, tmp_path / "store")
    fit(data, "erm", out=tmp_path / "run", train={"epochs": 1}, progress=False)
    for folder in ("store", "run"):
        assert "  record: columns age number, city 2 categories" in folder_lines(describe_folder(tmp_path / folder))


def test_a_control_has_no_encoders(tmp_path: Path) -> None:
    data = dataset(
        [{"x": float(n), "y": -float(n), "label": "ab"[n % 2]} for n in range(20)],
        target="label",
        x="x",
        y="y",
        quiet=True,
    )
    fit(data, "linear", out=tmp_path / "run", progress=False)
    assert ", encoder " not in "".join(folder_lines(describe_folder(tmp_path / "run")))
