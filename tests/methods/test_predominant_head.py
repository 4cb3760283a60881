"""The control: its averaged prediction and loss by hand, and which modality it finds predominant."""

from typing import Any

import pytest
import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.errors import SpecError
from deconfound.methods.predominant_head import PredominantHead
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,))}
CLASSES = Task.classification(("a", "b", "c"))


def make(task: Task = CLASSES, **hyperparameters: Any) -> tuple[PredominantHead, Batch]:
    torch.manual_seed(0)
    method = PredominantHead(Backbone.build(MODALITIES, task, hidden=8, dropout=0.0), **hyperparameters)
    return method, random_batch(MODALITIES, task, 9, torch.Generator().manual_seed(1))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def parts(method: PredominantHead, batch: Batch, name: str) -> tuple[Tensor, Tensor]:
    features = method.backbone.encode(batch)
    head = method.heads.heads[name]
    return method.backbone.predict(features, batch.present), head(features[name])


def test_the_prediction_is_the_mean_of_both_probabilities() -> None:
    method, batch = make(predominant="text")
    fused, single = parts(method, batch, "text")
    found = method(batch).softmax(1)
    for b in range(len(batch)):
        expected = fused[b].softmax(0)
        if batch.present["text"][b]:
            expected = (expected + single[b].softmax(0)) / 2
        torch.testing.assert_close(found[b], expected)


def test_the_prediction_of_a_regression_is_the_mean_of_both_values() -> None:
    method, batch = make(Task.regression(), predominant="audio")
    fused, single = parts(method, batch, "audio")
    there = batch.present["audio"].unsqueeze(1)
    torch.testing.assert_close(method(batch), torch.where(there, (fused + single) / 2, fused))


def test_the_loss_adds_the_risks_of_fusion_and_head() -> None:
    method, batch = make(predominant="text", weight=0.5)
    fused, single = parts(method, batch, "text")
    loss = method.loss(batch, 0.5, generator())
    there = batch.present["text"]
    head = torch.nn.functional.cross_entropy(single[there], batch.target[there])
    torch.testing.assert_close(loss.terms["head"], head)
    torch.testing.assert_close(loss.total, torch.nn.functional.cross_entropy(fused, batch.target) + 0.5 * head)
    torch.testing.assert_close(loss.output, method(batch))
    torch.testing.assert_close(loss.risks, CLASSES.risk(method(batch), batch.target))


def test_before_the_choice_the_heads_only_watch() -> None:
    method, batch = make()
    torch.testing.assert_close(method(batch).softmax(1), parts(method, batch, "text")[0].softmax(1))
    loss = method.loss(batch, 0.0, generator())
    loss.terms["probe"].backward()
    assert all(p.grad is None or not p.grad.any() for p in method.backbone.parameters())
    assert all(bool((p.grad != 0).any()) for p in method.heads.parameters())


def rows(informative: str) -> Dataset:
    """400 rows in which the sign of one modality's first feature is the class."""
    draw = generator()
    signals = {
        name: Signal(torch.randn(400, 1, *form.shape, generator=draw), torch.ones(400, 1, dtype=torch.bool))
        for name, form in MODALITIES.items()
    }
    target = (signals[informative].values[:, 0, 0] > 0).long()
    names = {"id": [str(i) for i in range(400)]}
    split = ["train"] * 200 + ["valid"] * 100 + ["test"] * 100
    return Dataset.build("rows", Task.classification(("no", "yes")), signals, target, names, split)


@pytest.mark.parametrize("informative", ["text", "audio"])
def test_the_best_modality_by_validation_is_chosen_once(informative: str) -> None:
    torch.manual_seed(0)
    data = rows(informative).development()
    method = PredominantHead(Backbone.build(MODALITIES, data.task, hidden=16, dropout=0.0), warmup=2)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for epoch in range(3):
        method.hooks.on_epoch_start(epoch, data, generator())
        assert bool(method.share.any()) == (epoch == 2)
        for step in range(20):
            optimiser.zero_grad()
            method.loss(data.batch("train"), step / 60, generator()).total.backward()
            optimiser.step()
    assert method.training
    assert dict(zip(method.heads.names, method.share.tolist(), strict=True)) == {
        name: float(name == informative) for name in MODALITIES
    }
    other = PredominantHead(Backbone.build(MODALITIES, data.task, hidden=16, dropout=0.0), warmup=2)
    other.load_state_dict(method.state_dict())
    batch = data.batch("valid")
    torch.testing.assert_close(other.eval()(batch), method.eval()(batch))
    kept = method.share.clone()
    with torch.no_grad():
        for parameter in method.heads.parameters():
            parameter.zero_()
    method.hooks.on_epoch_start(3, data, generator())
    assert torch.equal(method.share, kept)


def test_the_head_reaches_the_encoder_of_the_predominant_modality_alone() -> None:
    method, batch = make(predominant="audio")
    method.loss(batch, 0.0, generator()).terms["head"].backward()
    reached = {
        name for name, part in method.backbone.encoders.items() if any(p.grad is not None for p in part.parameters())
    }
    assert reached == {"audio"}


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(SpecError, match="no modality 'txt'; did you mean 'text'"):
        make(predominant="txt")
