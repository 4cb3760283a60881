"""QMF: the fusion by hand, the loss by the published formulas, and a history that survives a checkpoint."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.erm import ERM
from deconfound.methods.qmf import QualityAwareFusion
from deconfound.nn.backbone import Backbone
from deconfound.nn.fusions.qmf import QMF
from deconfound.runs.spec import Spec
from deconfound.testing.examples import random_batch
from deconfound.training.train import train_run
from support.toy import rows

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,))}
CLASSES = Task.classification(("a", "b", "c"))


def make(
    task: Task = CLASSES, fusion: Any = "concat", count: int = 12, **hyperparameters: Any
) -> tuple[QualityAwareFusion, Batch]:
    torch.manual_seed(0)
    method = QualityAwareFusion(
        Backbone.build(MODALITIES, task, hidden=8, dropout=0.0, fusion=fusion), **hyperparameters
    )
    return method, random_batch(MODALITIES, task, count, generator(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_weights_are_the_energies_without_a_gradient() -> None:
    method, batch = make(fusion={"name": "qmf", "temperature": 4.0})
    fusion = method.backbone.fusion
    with torch.no_grad():
        fusion.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    features = method.backbone.encode(batch)
    logits = {name: head(features[name]) for name, head in zip(MODALITIES, fusion.heads, strict=True)}
    found = method(batch)
    for b in range(len(batch)):
        expected = fusion.bias.clone()
        for name in MODALITIES:
            if batch.present[name][b]:
                energy = torch.log(torch.exp(logits[name][b]).sum())
                expected = expected + logits[name][b] * (energy / 4.0).item()
        torch.testing.assert_close(found[b], expected, rtol=1e-4, atol=1e-5)
    single = torch.stack([logits[name].detach() for name in MODALITIES]).requires_grad_()
    confidence = torch.logsumexp(single, 2) / 4
    fusion.join(single, confidence, batch.present).sum().backward()
    there = torch.stack([batch.present[name] for name in MODALITIES])
    torch.testing.assert_close(single.grad, (confidence.detach() * there).unsqueeze(2).expand_as(single))


def test_the_weights_of_a_regression_sum_to_one_over_the_present() -> None:
    method, batch = make(Task.regression())
    fusion = method.backbone.fusion
    single, confidence = fusion.single(method.backbone.encode(batch))
    found = method(batch)
    for b in range(len(batch)):
        here = [m for m, name in enumerate(MODALITIES) if batch.present[name][b]]
        expected = fusion.bias.clone()
        if here:
            weights = confidence[here, b].softmax(0)
            expected = expected + sum(w * single[m, b] for w, m in zip(weights, here, strict=True))
        torch.testing.assert_close(found[b], expected)


@pytest.mark.parametrize("margin", ["tolerated", "enforced"])
def test_the_loss_follows_the_formulas(margin: str) -> None:
    method, batch = make(rank=0.5, unimodal=2.0, margin=margin)
    fusion = method.backbone.fusion
    features = method.backbone.encode(batch)
    own, rank = 0.0, 0.0
    for name, head in zip(MODALITIES, fusion.heads, strict=True):
        there = batch.present[name]
        logits = head(features[name])
        losses = F.cross_entropy(logits, batch.target, reduction="none")
        own += losses[there].mean()
        low, high = losses[there].min(), losses[there].max()
        history = (losses - low) / (high - low)
        sure = torch.logsumexp(logits, 1) / 10
        each = []
        for i in range(len(batch)):
            j = (i + 1) % len(batch)
            if there[i] and there[j]:
                gap = history[i] - history[j]
                size = gap.abs() if margin == "enforced" else -gap.abs()
                each.append(torch.relu(gap.sign() * (sure[i] - sure[j]) + size))
        rank += torch.stack(each).mean()
    loss = method.loss(batch, 0.5, generator())
    torch.testing.assert_close(loss.terms["unimodal"], own)
    torch.testing.assert_close(loss.terms["rank"], rank)
    torch.testing.assert_close(loss.total, F.cross_entropy(method(batch), batch.target) + 2.0 * own + 0.5 * rank)


def test_the_fusion_joins_other_methods() -> None:
    backbone = Backbone.build(MODALITIES, CLASSES, hidden=8, dropout=0.0, fusion="qmf")
    assert isinstance(backbone.fusion, QMF)
    batch = random_batch(MODALITIES, CLASSES, 6, generator())
    torch.testing.assert_close(ERM(backbone)(batch), backbone.fusion(backbone.encode(batch), batch.present))


def test_it_learns_to_doubt_the_rows_whose_modality_is_noise() -> None:
    """Half of the audio rows follow the class, half are noise that can be told by a second feature."""
    draw, count = generator(3), 256
    target = torch.randint(2, (count,), generator=draw)
    noisy = torch.rand(count, generator=draw) < 0.5
    values = torch.randn(count, 1, 3, generator=draw)
    values[:, 0, 0] = torch.where(noisy, 3 * values[:, 0, 0], 3.0 * (2 * target - 1))
    values[:, 0, 1] = 2.0 * noisy
    here = torch.ones(count, 1, dtype=torch.bool)
    signals = {"audio": Signal(values, here), "text": Signal(torch.randn(count, 1, 4, generator=draw), here)}
    batch = Batch(signals, target, torch.arange(count), torch.zeros(count, dtype=torch.int64))
    torch.manual_seed(0)
    task = Task.classification(("no", "yes"))
    method = QualityAwareFusion(Backbone.build(MODALITIES, task, hidden=16, dropout=0.0), rank=1.0)
    method.history.grow(count)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(150):
        chosen = batch.select(torch.randperm(count, generator=draw)[:64])
        optimiser.zero_grad()
        method.loss(chosen, step / 150, generator(step)).total.backward()
        optimiser.step()
    confidence = method.backbone.fusion.single(method.backbone.encode(batch))[1][list(MODALITIES).index("audio")]
    assert confidence[noisy].mean() < confidence[~noisy].mean() - 0.05


def test_a_killed_run_resumes_to_the_same_weights(tmp_path) -> None:
    """The table travels with the checkpoint, so the second half sees the losses of the first."""
    data = rows(40, CLASSES)
    spec = Spec.of({"method": "qmf", "train": {"epochs": 4, "batch_size": 4, "threads": 1}})
    straight = train_run(spec, tmp_path / "straight", dataset=data, progress=False)

    class Kill(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train_run(spec, tmp_path / "killed", dataset=data, callbacks=[Kill()], progress=False)
    resumed = train_run(spec, tmp_path / "killed", dataset=data, progress=False)
    first, second = straight.method().state_dict(), resumed.method().state_dict()
    assert first["history.total"].shape == (2, 10)
    assert all(torch.equal(first[name], second[name]) for name in first)
