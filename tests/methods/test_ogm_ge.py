"""OGM-GE against the paper's formulas on a linear late fusion, and what it does to gradients."""

import math
from typing import Any

import pytest
import torch

from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.methods.erm import ERM
from deconfound.methods.ogm_ge import OGMGE
from deconfound.nn.backbone import Backbone
from deconfound.objectives.modulation import modulation
from deconfound.testing.examples import random_batch

CLASSES = Task.classification(("a", "b", "c"))


def modalities(*names: str) -> dict[str, Modality]:
    return {name: Modality(name, 1, (4,)) for name in names}


def make(
    names: tuple[str, ...] = ("text", "audio"), task: Task = CLASSES, **hyperparameters: Any
) -> tuple[OGMGE, Batch]:
    torch.manual_seed(0)
    backbone = Backbone.build(modalities(*names), task, hidden=8, dropout=0.0, fusion="late")
    return OGMGE(backbone, **hyperparameters), random_batch(modalities(*names), task, 12, generator(1), holes=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(method: OGMGE | ERM) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in method.backbone.encoders.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("scores", [(0.6, 0.3), (0.2, 0.5), (0.4, 0.4)])
def test_the_coefficients_of_two_modalities_are_those_of_the_paper(scores: tuple[float, float]) -> None:
    found = modulation(torch.tensor(scores), torch.tensor([True, True]), 0.7).tolist()
    for u in (0, 1):
        ratio = scores[u] / scores[1 - u]
        assert found[u] == pytest.approx(1 - math.tanh(0.7 * ratio) if ratio > 1 else 1, abs=1e-6)


def test_of_three_modalities_those_above_the_mean_of_the_others_are_slowed() -> None:
    found = modulation(torch.tensor([0.6, 0.5, 0.1]), torch.ones(3, dtype=torch.bool), 0.5).tolist()
    expected = [1 - math.tanh(0.5 * 0.6 / 0.3), 1 - math.tanh(0.5 * 0.5 / 0.35), 1]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("there", [[False, False], [True, False], [False, True]])
def test_without_a_rival_nothing_is_slowed(there: list[bool]) -> None:
    assert modulation(torch.tensor([0.9, 0.1]), torch.tensor(there), 1.0).tolist() == [1, 1]


def test_scores_and_gradients_follow_the_formulas_of_the_paper() -> None:
    method, batch = make(noise=0.0, alpha=0.4)
    heads = dict(zip(method.backbone.widths, method.backbone.fusion.heads, strict=True))
    bias = torch.tensor([0.5, -1.0, 0.3])
    method.backbone.fusion.bias.data.copy_(bias)
    features, scores = method.backbone.encode(batch), {}
    for name, head in heads.items():  # the logits are the sum of these
        logits = head(features[name]) / 2 + bias / 2
        scores[name] = sum(logits[b].softmax(0)[batch.target[b]].item() for b in range(12)) / 12
    loss = method.loss(batch, 0.0, generator())
    for name, expected in scores.items():
        assert loss.monitors[f"score/{name}"].item() == pytest.approx(expected, rel=1e-4)
    loss.total.backward()
    before = gradients(method)
    method.hooks.after_backward(generator())
    ahead, behind = sorted(scores, key=lambda name: -scores[name])
    slowed = 1 - math.tanh(0.4 * scores[ahead] / scores[behind])
    for name, gradient in gradients(method).items():
        factor = slowed if name.startswith(ahead) else 1.0
        torch.testing.assert_close(gradient, factor * before[name], rtol=1e-4, atol=1e-8)


def test_the_loss_is_that_of_erm() -> None:
    method, batch = make()
    plain = ERM(method.backbone)
    torch.testing.assert_close(method.loss(batch, 0.0, generator()).total, plain.loss(batch, 0.0, generator()).total)


def test_the_noise_has_the_spread_of_each_gradient_and_comes_from_the_generator() -> None:
    method, batch = make(noise=2.0)
    found: dict[str, list[torch.Tensor]] = {}
    for seed in range(200):
        method.zero_grad()
        loss = method.loss(batch, 0.0, generator())
        loss.total.backward()
        before = gradients(method)
        method.hooks.after_backward(generator(seed))
        for name, gradient in gradients(method).items():
            factor = loss.monitors[f"coefficient/{name.split('.')[0]}"]
            found.setdefault(name, []).append(gradient - factor * before[name])
    for name, values in found.items():
        spread = 2 * before[name].std(correction=0).item()
        assert torch.stack(values).std().item() == pytest.approx(spread, rel=0.1)
    method.zero_grad()
    method.loss(batch, 0.0, generator()).total.backward()
    before = gradients(method)
    method.hooks.after_backward(generator(199))
    for name, values in found.items():
        factor = loss.monitors[f"coefficient/{name.split('.')[0]}"]
        torch.testing.assert_close(gradients(method)[name] - factor * before[name], values[-1])


def test_after_its_share_of_the_steps_it_is_erm() -> None:
    method, batch = make(until=0.5)
    loss = method.loss(batch, 0.5, generator())
    loss.total.backward()
    before = gradients(method)
    method.hooks.after_backward(generator())
    assert all(torch.equal(gradients(method)[name], before[name]) for name in before)
    assert loss.monitors["coefficient/text"].item() == 1


@pytest.mark.parametrize("task", [CLASSES, Task.regression()])
def test_the_dominant_modality_is_the_one_that_is_slowed(task: Task) -> None:
    method, batch = make(task=task, noise=0.0)
    values = batch.signals["text"].values[:, 0, 0]
    target = values if task.kind == "regression" else (values > 0).long()
    batch = Batch(batch.signals, target, batch.ids, batch.env)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(150):
        optimiser.zero_grad()
        loss = method.loss(batch, step / 1000, generator(step))
        loss.total.backward()
        method.hooks.after_backward(generator(step))
        optimiser.step()
    fresh = random_batch(modalities("text", "audio"), task, 12, generator(5), holes=False)
    noise = Batch({**batch.signals, "audio": fresh.signals["audio"]}, target, batch.ids, batch.env)
    monitors = method.loss(noise, 0.0, generator()).monitors
    assert monitors["score/text"] > monitors["score/audio"]
    assert monitors["coefficient/text"] < 1
    assert monitors["coefficient/audio"] == 1


def test_rows_without_a_modality_do_not_count_in_its_score() -> None:
    method, batch = make()
    half = torch.arange(12).unsqueeze(1) < 6
    holes = batch.with_signals({"text": batch.signals["text"].keep(half)})
    first = Batch(
        {n: Signal(s.values[:6], s.mask[:6]) for n, s in batch.signals.items()},
        batch.target[:6],
        batch.ids[:6],
        batch.env[:6],
    )
    score = method.loss(holes, 0.0, generator()).monitors["score/text"]
    torch.testing.assert_close(score, method.loss(first, 0.0, generator()).monitors["score/text"])
