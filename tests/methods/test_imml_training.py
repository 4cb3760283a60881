"""IMML over epochs: what it measures, what it chooses, what it costs, and a run that is killed and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.datasets.synthetic import synthetic
from deconfound.methods.imml import CHECKLIST, IMML
from deconfound.nn.backbone import Backbone
from deconfound.nn.interventions import PREDICTIONS
from deconfound.runs.checkpoint import read_checkpoint
from deconfound.training.train import train_run
from support.small import small_run, small_spec


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def skewed(rows: int = 400) -> Dataset:
    """Two modalities of which "m1" tells the label and "m2" nothing."""
    data = synthetic(rows=rows).only("m1", "m2")
    target = data.signals["m1"].values[:, 0, 0] * 2
    noise = Signal(torch.randn(data.signals["m2"].values.shape, generator=generator()), data.signals["m2"].mask)
    return replace(data, target=target, signals={**data.signals, "m2": noise}).development()


def test_after_the_warm_up_the_predominant_modality_is_measured_once() -> None:
    data = skewed()
    method = IMML(Backbone.build(data.modalities, data.task, hidden=8), warmup=2)
    for epoch in (0, 1):
        method.hooks.on_epoch_start(epoch, data, generator())
        assert method.predominant.active == {"m1": 0.5, "m2": 0.5}
        assert "before the warm-up was over" in method.hooks.summary_lines()[0]
    method.hooks.on_epoch_start(2, data, generator())
    assert method.predominant.active == {"m1": 1.0}
    assert method.hooks.summary_lines()[0] == "m1 is predominant (measured on validation rows)"
    turned = replace(data, signals={"m1": data.signals["m2"], "m2": data.signals["m1"]})
    method.hooks.on_epoch_start(3, turned, generator())
    assert method.predominant.active == {"m1": 1.0}


def test_auto_takes_the_prediction_with_the_lowest_validation_risk() -> None:
    data = skewed()
    method = IMML(Backbone.build(data.modalities, data.task, hidden=8), predict="auto", predominant="m1")
    method.loss(data.batch(range(64)), 0.0, generator())
    method.eval()
    with torch.no_grad():
        method.hooks.on_validation_start(data)
        batch = data.batch("valid")
        risks = {
            name: data.task.risk(output, batch.target).mean().item() for name, output in method.variants(batch).items()
        }
    assert set(risks) == set(PREDICTIONS)
    assert method.chosen == min(risks, key=lambda name: risks[name])
    torch.testing.assert_close(method(batch), method.variants(batch)[method.chosen])
    assert any(method.chosen in note and "lowest validation risk" in note for note in method.hooks.summary_lines())


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    hyperparameters = {
        "name": "imml",
        "warmup": 1,
        "predict": "auto",
        "head": "dictionary",
        "bank": 20,
        "centres": 4,
        "hidden": 8,
    }
    spec = small_spec(method=hyperparameters)

    class Kill(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 2:
                raise KeyError("killed")

    whole = small_run(tmp_path / "whole", method=hyperparameters)
    with pytest.raises(KeyError):
        train_run(spec, tmp_path / "cut", callbacks=[Kill()], progress=False)
    again = train_run(spec, tmp_path / "cut", progress=False)
    states = [read_checkpoint(run.path / "checkpoints" / "last.safetensors")["state_dict"] for run in (whole, again)]
    assert states[0].keys() == states[1].keys()
    assert any("bank.values" in name for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    curves = [(run.path / "log.csv").read_text() for run in (whole, again)]
    assert curves[0] == curves[1]
    notes = json.loads((whole.path / "done.json").read_text())["notes"]
    assert [note for note in notes if note in CHECKLIST] == list(CHECKLIST)


def test_where_the_task_predicts_the_rest_is_not_computed() -> None:
    data = skewed(40)
    method = IMML(Backbone.build(data.modalities, data.task, hidden=8), predominant="m1").eval()
    asked = []
    method.interventions.register_forward_hook(lambda *_: asked.append(1))
    method(data.batch("valid"))
    assert asked == []
    method.variants(data.batch("valid"))
    assert asked == [1]


@pytest.mark.parametrize("training", [True, False])
def test_the_start_of_an_epoch_leaves_the_mode_as_it_was(training: bool) -> None:
    data = skewed(40)
    method = IMML(Backbone.build(data.modalities, data.task, hidden=8), warmup=0).train(training)
    method.hooks.on_epoch_start(0, data, generator())
    assert {part.training for part in method.modules()} == {training}
