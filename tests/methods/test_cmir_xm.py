"""`cmir-xm`: aligned where causes are shared, plain `cmir` where they are not, and it says which."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.datasets.synthetic import synthetic
from deconfound.methods.cmir_xm import CmIRXM
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import training_scale
from deconfound.registry import build
from deconfound.runs.spec import Spec
from support.cmir_small import generator
from support.killing import killed_and_resumed

SHARED = {"rows": 160, "modalities": 2, "features": 4, "nonlinearity": 0.0, "shared": 0.95, "spurious_modalities": 1}
PRIVATE = {**SHARED, "shared": 0.0, "spurious_modalities": 2}


def data(hyperparameters: dict[str, Any] = SHARED) -> Dataset:
    return synthetic(**hyperparameters).development()


def built(development: Dataset, method: str = "cmir-xm", **arguments: Any) -> Any:
    torch.manual_seed(0)
    backbone = Backbone.build(development.modalities, development.task, hidden=4, dropout=0.0)
    backbone.set_scale(training_scale(development))
    return build("methods", method, backbone, **arguments)


def test_shared_causes_are_aligned_and_the_prediction_trains_its_head_alone() -> None:
    found = data()
    method = built(found, invariance=0.0, decorrelation=0.0, reconstruction=0.0)
    method.hooks.on_epoch_start(0, found, generator())
    assert "pairs from 0.5 are aligned" in method.hooks.summary_lines()[0]
    loss = method.loss(found.batch("train"), 0.5, generator())
    torch.testing.assert_close(loss.total, loss.terms["prediction"] + loss.terms["alignment"])
    inner = method.inner
    own = [*inner.backbone.encoders.parameters(), *inner.splitter.groups.parameters()]
    of_prediction = torch.autograd.grad(loss.terms["prediction"], own, retain_graph=True, allow_unused=True)
    assert {*of_prediction} == {None}
    of_alignment = torch.autograd.grad(loss.terms["alignment"], own, retain_graph=True, allow_unused=True)
    assert any(g is not None and bool(g.any()) for g in of_alignment)
    head = torch.autograd.grad(loss.terms["prediction"], list(inner.backbone.head.parameters()))
    assert all(bool(g.any()) for g in head[-2:])


def test_training_brings_the_parts_of_a_row_together() -> None:
    found = data()
    method = built(found, dim=8)
    method.hooks.on_epoch_start(0, found, generator())
    optimiser = torch.optim.Adam(method.parameters(), lr=0.003)
    batch, costs = found.batch("train"), []
    for step in range(60):
        loss = method.loss(batch, step / 60, generator(step))
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        costs.append(loss.terms["alignment"].item())
    assert costs[0] == pytest.approx(math.log(160), abs=0.2)  # chance
    assert costs[-1] < costs[0] - 0.4


def test_private_causes_fall_back_to_plain_cmir() -> None:
    found = data(PRIVATE)
    method, plain = built(found), built(found, "cmir")
    method.hooks.on_epoch_start(0, found, generator())
    assert "nothing is aligned and the method is plain cmir" in method.hooks.summary_lines()[0]
    method.inner.load_state_dict(plain.state_dict(), strict=False)
    ours, theirs = (m.loss(found.batch("train"), 0.5, generator()) for m in (method, plain))
    assert ours.terms["alignment"].item() == 0
    torch.testing.assert_close(ours.total, theirs.total)
    for loss in (ours, theirs):
        loss.total.backward()
    for a, b in zip(method.inner.backbone.parameters(), plain.backbone.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_run_killed_in_its_second_epoch_keeps_its_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Spec.of(
        {
            "method": "cmir-xm",
            "data": {"synthetic": SHARED},
            "backbone": {"hidden": 4},
            "train": {"epochs": 2, "batch_size": 40, "accelerator": "cpu", "threads": 1},
        }
    )
    again, _ = killed_and_resumed(asked, CmIRXM, tmp_path, monkeypatch)
    assert again.done is not None
    assert "pairs from 0.5 are aligned" in again.done["notes"][0]
