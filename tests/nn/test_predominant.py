"""Measuring the predominant modality in training: decided once, stated when it differs elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.nn.backbone import Backbone
from deconfound.nn.predominant import PredominanceWarning, Predominant


def data(strength: dict[str, Tensor], *, seed: int = 0, environment: bool = False) -> Dataset:
    """400 training and 400 validation rows; a modality holds strength · label + noise of its own in every row."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (800,), generator=generator)
    signals = {}
    for name, factor in strength.items():
        values = torch.randn(800, 1, 2, generator=generator)
        values[:, 0, 0] += factor * (2 * label - 1)
        signals[name] = Signal(values, torch.ones(800, 1, dtype=torch.bool))
    metadata = {"id": [f"r{i}" for i in range(800)], "room": [("one", "two")[i % 2] for i in range(800)]}
    split = ["train"] * 400 + ["valid"] * 400
    task = Task.classification(("no", "yes"))
    rooms = ("room",) if environment else ()
    return Dataset.build("rooms", task, signals, label, metadata, split, environment=rooms)


def backbone(dataset: Dataset) -> Backbone:
    torch.manual_seed(0)
    return Backbone.build(dataset.modalities, dataset.task, encoders=dict.fromkeys(dataset.modalities, "pool"))


def everywhere(text: float, audio: float) -> dict[str, Tensor]:
    return {"text": torch.full((800,), text), "audio": torch.full((800,), audio)}


def test_the_stronger_modality_predominates() -> None:
    dataset, part = data(everywhere(0.2, 1.0)), Predominant(["text", "audio"], "auto")
    assert part.active == {"text": 0.5, "audio": 0.5}
    part.measure(backbone(dataset), dataset)
    assert part.active == {"audio": 1.0}
    assert bool(part.decided)


def test_equal_ones_share_the_part() -> None:
    dataset, part = data(everywhere(0.5, 0.5)), Predominant(["text", "audio"], "auto")
    part.measure(backbone(dataset), dataset)
    assert part.active == {"text": 0.5, "audio": 0.5}
    assert bool(part.decided)


def test_a_named_one_is_decided_from_the_start() -> None:
    part = Predominant(["text", "audio"], "text")
    assert part.active == {"text": 1.0}
    assert bool(part.decided)


def test_another_one_on_the_training_rows_is_said() -> None:
    train = torch.arange(800) < 400
    strength = {"text": torch.where(train, 1.5, 0.0), "audio": torch.full((800,), 0.5)}
    dataset, part = data(strength), Predominant(["text", "audio"], "auto")
    with pytest.warns(PredominanceWarning, match="audio on the validation rows but text on the training rows"):
        part.measure(backbone(dataset), dataset)
    assert part.active == {"audio": 1.0}


def test_another_one_in_an_environment_is_said() -> None:
    room = torch.arange(800) % 2 == 0
    strength = {"text": torch.where(room, 0.8, 0.0), "audio": torch.where(room, 0.1, 2.0)}
    dataset, part = data(strength, environment=True), Predominant(["text", "audio"], "auto")
    with pytest.warns(PredominanceWarning, match="audio on the validation rows but text on room=one"):
        part.measure(backbone(dataset), dataset)


def test_contributions_are_shapley_values_of_the_prediction() -> None:
    dataset, part = data(everywhere(0.2, 1.0)), Predominant(["text", "audio"], "auto")
    network = backbone(dataset).eval()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.05)
    batch = dataset.batch("train")
    for _ in range(30):
        optimiser.zero_grad()
        for gone in ((), ("text",), ("audio",)):
            rows = batch.without(*gone)
            output = network.predict(network.encode(rows), rows.present)
            dataset.task.risk(output, rows.target).mean().backward()
        optimiser.step()
    part.contribute(network, dataset)
    valid = dataset.batch("valid")

    def accuracy(*gone: str) -> float:
        rows = valid.without(*gone)
        output = network.predict(network.encode(rows), rows.present)
        return (output.argmax(1) == rows.target).float().mean().item()

    v = {"": accuracy("text", "audio"), "t": accuracy("audio"), "a": accuracy("text"), "ta": accuracy()}
    expected = [(v["t"] - v[""] + v["ta"] - v["a"]) / 2, (v["a"] - v[""] + v["ta"] - v["t"]) / 2]
    assert part.contribution.tolist() == pytest.approx(expected, abs=1e-6)
    assert expected[1] > expected[0]


def test_rows_that_lack_a_modality_are_looked_at_too() -> None:
    dataset = data(everywhere(0.2, 1.0))
    half = (torch.arange(800) % 4 > 0).unsqueeze(1)
    signals = {**dataset.signals, "audio": dataset.signals["audio"].keep(half)}
    dataset, part = replace(dataset, signals=signals), Predominant(["text", "audio"], "auto")
    part.measure(backbone(dataset), dataset)
    assert part.active == {"audio": 1.0}
