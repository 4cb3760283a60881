"""Gradient blending: its loss by hand, and weights that follow what the heads did on training and validation rows."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.gradient_blending import GradientBlending
from deconfound.nn.backbone import Backbone
from deconfound.objectives.blending import blend_weights
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (30,))}
TASK = Task.classification(("no", "yes"))


def make(**hyperparameters: Any) -> GradientBlending:
    torch.manual_seed(0)
    return GradientBlending(Backbone.build(MODALITIES, TASK, hidden=32, dropout=0.0), **hyperparameters)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 80) -> Dataset:
    """The first feature of text is the class up to noise; audio is 30 features of noise, to be memorised."""
    draw, here = generator(), torch.ones(2 * count, 1, dtype=torch.bool)
    target = torch.randint(2, (2 * count,), generator=draw)
    text, audio = torch.randn(2 * count, 1, 4, generator=draw), torch.randn(2 * count, 1, 30, generator=draw)
    text[:, 0, 0] += 2.0 * target - 1
    signals = {"text": Signal(text, here), "audio": Signal(audio, here)}
    ids = {"id": [str(i) for i in range(2 * count)]}
    return Dataset.build("rows", TASK, signals, target, ids, ["train"] * count + ["valid"] * count)


def risks(method: GradientBlending, batch: Batch) -> torch.Tensor:
    method.eval()
    with torch.no_grad():
        features = method.backbone.encode(batch)
        every = [method.backbone.predict(features, batch.present)]
        every += [method.heads.heads[name](features[name]) for name in MODALITIES]
    method.train()
    return torch.stack([F.cross_entropy(each, batch.target) for each in every])


def step(method: GradientBlending, data: Dataset, steps: int = 10) -> None:
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        method.loss(data.batch("train"), 0.5, generator()).total.backward()
        optimiser.step()


def test_the_loss_is_the_weighted_sum() -> None:
    method = make()
    with torch.no_grad():
        method.weights.copy_(torch.tensor([0.5, 0.2, 0.3]))
    batch = random_batch(MODALITIES, TASK, 12, generator(1))
    features = method.backbone.encode(batch)
    fused = F.cross_entropy(method.backbone.predict(features, batch.present), batch.target)
    own = {}
    for name in MODALITIES:
        there = batch.present[name]
        own[name] = F.cross_entropy(method.heads.heads[name](features[name][there]), batch.target[there])
    loss = method.loss(batch, 0.5, generator())
    torch.testing.assert_close(loss.total, 0.5 * fused + 0.2 * own["text"] + 0.3 * own["audio"])
    torch.testing.assert_close(loss.terms["unimodal/audio"], own["audio"])
    torch.testing.assert_close(loss.risks.mean(), fused)


@pytest.mark.parametrize(("when", "estimates"), [("online", [2, 4]), ("offline", [2])])
def test_the_weights_follow_the_risks_on_training_and_validation_rows(when: str, estimates: list[int]) -> None:
    method, data = make(when=when, every=2, equal=0.3), rows()
    before = None
    for epoch in range(6):
        kept = method.weights.clone()
        now = torch.stack([risks(method, data.batch(split)) for split in ("train", "valid")])
        method.hooks.on_epoch_start(epoch, data, generator())
        assert method.training
        if epoch in estimates:
            torch.testing.assert_close(method.weights, 0.7 * blend_weights(before, now) + 0.1)
        else:
            assert torch.equal(method.weights, kept)
        before = now if epoch % 2 == 0 else before
        step(method, data)


def test_a_modality_that_is_memorised_loses_its_weight() -> None:
    method, data = make(every=1), rows()
    method.hooks.on_epoch_start(0, data, generator())
    step(method, data, 15)
    method.hooks.on_epoch_start(1, data, generator())
    fused, text, audio = method.weights.tolist()
    assert text > 0.5
    assert audio < 0.04  # what is dealt equally
    assert fused + text + audio == pytest.approx(1)
    other = make(every=1)
    other.load_state_dict(method.state_dict())
    step(method, data, 3)
    step(other, data, 3)
    for network in (method, other):
        network.hooks.on_epoch_start(2, data, generator())
    torch.testing.assert_close(method.weights, other.weights)
