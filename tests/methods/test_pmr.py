"""PMR: its loss by the paper's formulas, prototypes with momentum, and what it does to a slow modality."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.pmr import PMR
from deconfound.nn.backbone import Backbone

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,))}
CLASSES = Task.classification(("a", "b", "c"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(task: Task = CLASSES, count: int = 90) -> Dataset:
    """Text shows the label clearly, audio faintly; audio is absent in every fifth row."""
    draw = generator()
    target = (
        torch.randint(3, (count,), generator=draw)
        if task.kind == "classification"
        else torch.randn(count, generator=draw)
    )
    text, audio = torch.randn(count, 1, 4, generator=draw), torch.randn(count, 1, 3, generator=draw)
    text[:, 0, 0] += 3.0 * target
    audio[:, 0, 0] += 0.7 * target
    here = torch.ones(count, 1, dtype=torch.bool)
    signals = {
        "text": Signal(text, here),
        "audio": Signal(audio, here).keep((torch.arange(count) % 5 > 0).unsqueeze(1)),
    }
    split = ["train"] * (count * 2 // 3) + ["valid"] * (count - count * 2 // 3)
    return Dataset.build("rows", task, signals, target, {"id": [str(i) for i in range(count)]}, split)


def make(task: Task = CLASSES, **hyperparameters: Any) -> PMR:
    torch.manual_seed(0)
    return PMR(Backbone.build(MODALITIES, task, hidden=8, dropout=0.0), **hyperparameters)


def means(method: PMR, data: Dataset, name: str, c: int) -> torch.Tensor:
    batch = data.batch("train")
    kept = batch.present[name] & (method.labels(batch.target) == c)
    with torch.no_grad():
        return method.backbone.encode(batch)[name][kept].mean(0)


def test_prototypes_are_class_means_with_momentum() -> None:
    method, data = make(momentum=0.3), rows()
    method.hooks.on_epoch_start(0, data, generator())
    first = {(name, c): means(method, data, name, c) for name in MODALITIES for c in range(3)}
    for k, name in enumerate(MODALITIES):
        for c in range(3):
            torch.testing.assert_close(method.prototypes[k].mean[c], first[name, c])
    with torch.no_grad():
        for parameter in method.backbone.encoders.parameters():
            parameter.mul_(1.3)
    method.hooks.on_epoch_start(1, data, generator())
    for k, name in enumerate(MODALITIES):
        for c in range(3):
            expected = 0.3 * first[name, c] + 0.7 * means(method, data, name, c)
            torch.testing.assert_close(method.prototypes[k].mean[c], expected)


@pytest.mark.parametrize("progress", [0.1, 0.4, 0.9])
def test_the_loss_follows_the_formulas_of_the_paper(progress: float) -> None:
    method, data = make(alpha=0.8, entropy=0.2), rows()
    method.hooks.on_epoch_start(0, data, generator())
    batch = data.batch(range(0, 20))
    features = method.backbone.encode(batch)
    score, risk, entropy = {}, {}, {}
    for k, name in enumerate(MODALITIES):
        there = batch.present[name]
        logits = -torch.cdist(features[name][there], method.prototypes[k].mean)
        p = logits.softmax(1)
        score[name] = p[torch.arange(len(p)), batch.target[there]].mean().item()
        risk[name] = F.cross_entropy(logits, batch.target[there])
        entropy[name] = -(p * p.log()).sum(1).mean()
    ratio = score["text"] / score["audio"]
    beta, gamma = min(max(0.0, 1 / ratio - 1), 1.0), min(max(0.0, ratio - 1), 1.0)
    expected = F.cross_entropy(method(batch), batch.target)
    if progress < 0.67:
        expected = expected + 0.8 * (beta * risk["text"] + gamma * risk["audio"])
    if progress < 0.2:
        expected = expected - 0.2 * (gamma * entropy["text"] + beta * entropy["audio"])
    loss = method.loss(batch, progress, generator())
    torch.testing.assert_close(loss.total, expected, rtol=1e-4, atol=1e-5)
    assert loss.monitors["score/audio"].item() == pytest.approx(score["audio"], rel=1e-4)


@pytest.mark.parametrize("task", [CLASSES, Task.regression()])
def test_the_slow_modality_gets_the_prototype_term_alone(task: Task) -> None:
    method, data = make(task), rows(task)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for epoch in range(8):
        method.hooks.on_epoch_start(epoch, data, generator())
        for _ in range(5):
            optimiser.zero_grad()
            loss = method.loss(data.batch("train"), 0.4, generator())
            loss.total.backward()
            optimiser.step()
    assert loss.monitors["score/text"] > loss.monitors["score/audio"]
    assert loss.monitors["slow/audio"] > 0
    assert loss.monitors["slow/text"] == 0
    optimiser.zero_grad()
    method.loss(data.batch("train"), 0.4, generator()).terms["prototypes"].backward()
    reached = {
        n
        for n, e in method.backbone.encoders.items()
        if any(p.grad is not None and p.grad.any() for p in e.parameters())
    }
    assert reached == {"audio"}


def test_a_regression_is_cut_into_equally_likely_intervals() -> None:
    method, data = make(Task.regression(), bins=4), rows(Task.regression())
    method.hooks.on_epoch_start(0, data, generator())
    counts = torch.bincount(method.labels(data.batch("train").target), minlength=4)
    assert counts.tolist() == [15, 15, 15, 15]


def test_without_prototypes_it_is_erm() -> None:
    method, data = make(), rows()
    batch = data.batch("valid")
    loss = method.loss(batch, 0.0, generator())
    torch.testing.assert_close(loss.total, F.cross_entropy(method(batch), batch.target))
