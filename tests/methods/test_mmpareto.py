"""MMPareto: the gradient that each part gets, against gradients taken one loss at a time."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.methods.mmpareto import MMPareto
from deconfound.nn.backbone import Backbone
from deconfound.penalties.vrex import VREx
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,))}
CLASSES = Task.classification(("a", "b", "c"))


def make(**hyperparameters: Any) -> tuple[MMPareto, Batch]:
    torch.manual_seed(0)
    method = MMPareto(Backbone.build(MODALITIES, CLASSES, hidden=8, dropout=0.0), **hyperparameters)
    return method, random_batch(MODALITIES, CLASSES, 12, generator(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def losses(method: MMPareto, batch: Batch) -> dict[str, Tensor]:
    features = method.backbone.encode(batch)
    found = {"fused": F.cross_entropy(method.backbone.predict(features, batch.present), batch.target)}
    for name in MODALITIES:
        there = batch.present[name]
        found[name] = F.cross_entropy(method.heads.heads[name](features[name][there]), batch.target[there])
    return found


def gradient(method: MMPareto, loss: Tensor, part: torch.nn.Module) -> Tensor:
    method.zero_grad()
    loss.backward(retain_graph=True)
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in part.parameters()])


@pytest.mark.parametrize("opposed", [False, True])
def test_each_encoder_gets_the_combination_and_the_rest_the_plain_gradient(opposed: bool) -> None:
    method, batch = make(rescale=1.5)
    if opposed:  # heads that are wrong on purpose pull their encoders the other way
        with torch.no_grad():
            for parameter in method.heads.parameters():
                parameter.copy_(-3 * parameter)
    each, total = losses(method, batch), method.loss(batch, 0.5, generator())
    torch.testing.assert_close(total.total, sum(each.values()))
    conflicts = 0
    for name in MODALITIES:
        encoder = method.backbone.encoders[name]
        g, h = (gradient(method, each[key], encoder) for key in ("fused", name))
        found = gradient(method, total.total, encoder)
        if g @ h >= 0:
            expected = 1.5 * (g + h)
        else:
            conflicts += 1
            share = float((h @ (h - g)) / (g - h).square().sum())
            shortest = 2 * (share * g + (1 - share) * h)
            expected = 1.5 * shortest * max(1.0, float((g + h).norm() / shortest.norm()))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
        assert found @ g >= -1e-6
        assert found @ h >= -1e-6
        assert total.monitors[f"cosine/{name}"].item() == pytest.approx(
            F.cosine_similarity(g, h, dim=0).item(), abs=1e-4
        )
    assert conflicts > 0 if opposed else conflicts < 2  # between them the two cases show both
    for part in (method.heads, method.backbone.head, method.backbone.fusion):
        plain = gradient(method, sum(each.values()), part)
        torch.testing.assert_close(gradient(method, total.total, part), plain)


def test_a_frozen_encoder_stays_as_it_is() -> None:
    method, batch = make()
    for parameter in method.backbone.encoders["text"].parameters():
        parameter.requires_grad_(False)
    loss = method.loss(batch, 0.5, generator())
    loss.total.backward()
    assert all(p.grad is None for p in method.backbone.encoders["text"].parameters())
    assert set(loss.monitors) == {"cosine/audio"}


def test_the_loss_is_there_without_gradients() -> None:
    method, batch = make()
    expected = method.loss(batch, 0.5, generator()).total
    with torch.no_grad():
        torch.testing.assert_close(method.loss(batch, 0.5, generator()).total, expected)


def test_penalties_reach_the_encoders() -> None:
    method, batch = make()
    plain = gradient(method, method.loss(batch, 1.0, generator()).total, method.backbone.encoders)
    penalty = VREx(method.backbone, 2, weight=5.0)
    both = RegularizedMethod(method, {"vrex": penalty}, {}).loss(batch, 1.0, generator())
    alone = gradient(method, penalty.current_weight(1.0) * both.terms["vrex"], method.backbone.encoders)
    assert alone.abs().sum() > 0
    torch.testing.assert_close(
        gradient(method, both.total, method.backbone.encoders), plain + alone, rtol=1e-3, atol=1e-5
    )
