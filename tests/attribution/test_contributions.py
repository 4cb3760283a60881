"""What each modality contributes to a run and to a dataset, and the command that prints it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deconfound.attribution.contributions import as_text, contributions_of_data, contributions_of_run
from deconfound.cli import app as cli
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import save
from deconfound.data.task import Task
from deconfound.errors import DataError
from support.small import small_run
from support.toy import Toy, rows


def data(strengths: dict[str, Tensor], task: Task | None = None) -> Dataset:
    """600 rows, half for training; a modality holds strength · label + noise in every row; one test row is poison."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(2, (601,), generator=generator)
    signals = {}
    for name, strength in strengths.items():
        values = torch.randn(601, 1, 3, generator=generator)
        values[:, 0, 0] += strength * (2 * label - 1)
        signals[name] = Signal(values, torch.ones(601, 1, dtype=torch.bool))
    metadata = {"id": [f"r{i}" for i in range(601)], "room": [("one", "two")[i % 2] for i in range(601)]}
    split = ["train"] * 300 + ["valid"] * 300 + ["test"]
    task = task or Task.classification(("no", "yes"))
    target = label if task.kind == "classification" else label.float()
    return Dataset.build("rooms", task, signals, target, metadata, split, environment=("room",))


def flat(text: float, audio: float) -> dict[str, Tensor]:
    return {"text": torch.full((601,), text), "audio": torch.full((601,), audio)}


@pytest.mark.parametrize("task", [None, Task.regression()], ids=["classes", "regression"])
def test_the_stronger_modality_of_a_dataset_predominates_and_adds_more(task: Task | None) -> None:
    found = contributions_of_data(data(flat(0.3, 1.2), task))
    assert found.verdict.predominant == "audio"
    value = {each.modality: each.value for each in found.contributions}
    assert value["audio"] > 5 * max(0.01, value["text"])
    for each in found.contributions:
        assert each.low is not None
        assert each.low < each.value < (each.high or 0)
        assert found.per_row[each.modality].mean() == pytest.approx(each.value)
    assert found.rows == len(found.ids) == 300
    assert not found.warnings
    assert "audio is predominant" in as_text(found)


def test_the_values_of_a_run_are_those_of_its_predictions() -> None:
    """`Toy` adds up the values, so a modality alone predicts its own sum, and none predicts 0."""
    dataset, method = rows(80), Toy()
    found = contributions_of_run(method, dataset, "toy")
    valid = dataset.rows("valid")
    target = dataset.target[valid.start : valid.stop].numpy()
    sums = {n: s.values[valid.start : valid.stop].flatten(1).sum(1).numpy() for n, s in dataset.signals.items()}

    def score(*names: str) -> np.ndarray:
        return -np.abs(sum((sums[name] for name in names), np.zeros(len(target))) - target)

    none, text, audio, both = score(), score("text"), score("audio"), score("text", "audio")
    np.testing.assert_allclose(found.per_row["text"], (text - none + both - audio) / 2, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.per_row["audio"], (audio - none + both - text) / 2, rtol=1e-5, atol=1e-5)
    alone = {standing.modality: standing.score for standing in found.verdict.standings}
    assert alone == pytest.approx({"text": text.mean(), "audio": audio.mean()}, rel=1e-5)
    for who, index in (("anna", 0), ("bo", 1)):
        expected = found.per_row["text"][index::2].mean()
        assert found.groups[f"speaker={who}"]["text"] == pytest.approx(expected)


def test_no_test_row_is_read() -> None:
    dataset, method = rows(80), Toy()
    contributions_of_run(method, dataset, "toy")
    stop = dataset.rows("valid").stop
    assert max(int(batch.ids.max()) for batch in method.seen) < stop
    poisoned = data(flat(0.3, 1.2))
    values = poisoned.signals["text"].values.clone()
    values[600] = torch.nan
    signals = {**poisoned.signals, "text": Signal(values, poisoned.signals["text"].mask)}
    assert np.isfinite(contributions_of_data(replace(poisoned, signals=signals)).per_row["text"]).all()


def test_another_predominant_modality_elsewhere_is_said() -> None:
    train, room = torch.arange(601) < 300, torch.arange(601) % 2 == 0
    in_training = data({"text": torch.where(train, 2.0, 0.0), "audio": torch.full((601,), 0.6)})
    assert contributions_of_data(in_training).warnings[0] == (
        "text is predominant on the training rows, audio on the validation rows"
    )
    strengths = {"text": torch.where(room, 1.0, 0.0), "audio": torch.where(room, 0.2, 2.0)}
    found = contributions_of_data(data(strengths))
    assert any("text is predominant on room=one, audio on the validation rows" in each for each in found.warnings)


def test_one_modality_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="has one modality, 'text'; there is nothing to compare it with"):
        contributions_of_data(data({"text": torch.ones(601)}))
    with pytest.raises(DataError, match="no metadata column 'rom'; did you mean 'room'"):
        contributions_of_data(data(flat(1, 1)), "rom")


def run_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_command_measures_a_store_and_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = save(data(flat(0.3, 1.2)), tmp_path / "store")
    text = run_command(["predominance", str(store), "--out", str(tmp_path / "rows.csv")], capsys)
    assert "audio is predominant" in text
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    found = contributions_of_data(data(flat(0.3, 1.2)))
    assert [float(row["audio"]) for row in table] == pytest.approx(found.per_row["audio"].tolist())
    assert table[0]["id"] == "r300"
    run = small_run(tmp_path / "run")
    shown = json.loads(run_command(["predominance", str(run.path), "--json"], capsys))
    assert {each["modality"] for each in shown["contributions"]} == set(run.modalities)
    assert len(shown["conflicts"]) == len(list(combinations(run.modalities, 2))) * 2
    assert shown["verdict"]["predominant"]
    assert not (run.path / "test_access.jsonl").exists()


def test_what_cannot_be_asked_is_refused_before_any_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = Toy()
    with pytest.raises(DataError, match="no metadata column 'rom'"):
        contributions_of_run(method, rows(80), "toy", "rom")
    assert not method.seen
    store = save(data(flat(0.3, 1.2)), tmp_path / "store")
    with pytest.raises(SystemExit) as end:
        cli.main(["predominance", str(store), "--mask", "--out", str(tmp_path / "rows.csv")])
    assert end.value.code != 0
    assert "is not a run, and --mask needs a trained method" in capsys.readouterr().err
    assert not (tmp_path / "rows.csv").exists()
