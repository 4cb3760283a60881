"""Weights of rows and classes: as scikit-learn computes them, and as rows that come several times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch import Tensor

import deconfound as dc
from deconfound.augmentations.mixup import Mixup
from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import DataError, SpecError
from deconfound.method import Loss, Method
from deconfound.nn.backbone import Backbone
from deconfound.penalty import make_penalties
from deconfound.registry import build, names
from deconfound.runs.spec import TrainSpec
from deconfound.testing.examples import MODALITIES, random_batch
from deconfound.training.row_weights import row_weights

N = 120
FAST: dict[str, Any] = {"epochs": 15, "learning_rate": 0.02, "accelerator": "cpu", "threads": 1}


def rows() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rare = draw.random(N) < 0.15
    return pd.DataFrame(
        {
            "x": draw.normal(size=N) + rare,
            "label": np.where(rare, "rare", "common"),
            "w": draw.integers(0, 4, N),
            "note": "text",
            "split": np.array(["train", "train", "valid", "test"])[np.arange(N) % 4],
        }
    )


def data(frame: pd.DataFrame | None = None, **arguments: Any) -> dc.Dataset:
    return dc.dataset(rows() if frame is None else frame, target="label", x="x", quiet=True, **arguments).development()


def test_balanced_classes_are_those_of_scikit_learn() -> None:
    development = data()
    weights = row_weights(development, TrainSpec(class_weight="balanced"))
    assert weights is not None
    train = development.rows("train")
    expected = compute_sample_weight("balanced", development.target[: train.stop].numpy())
    np.testing.assert_allclose(weights[: train.stop], expected, rtol=1e-6)
    assert float(weights[train.stop :].mean()) == pytest.approx(1)


def test_a_column_and_classes_multiply_and_have_the_mean_one() -> None:
    development = data()
    weights = row_weights(development, TrainSpec(weight="w", class_weight={"rare": 3.0}))
    assert weights is not None
    raw = development.columns["w"].values * np.where(development.target.numpy() == 1, 3.0, 1.0)
    stop = development.rows("train").stop
    np.testing.assert_allclose(weights[:stop], raw[:stop] / raw[:stop].mean(), rtol=1e-6)
    np.testing.assert_allclose(weights[stop:], raw[stop:] / raw[stop:].mean(), rtol=1e-6)
    assert row_weights(development, TrainSpec()) is None


@pytest.mark.parametrize(
    ("frame", "train", "match"),
    [
        ({}, {"weight": "ww"}, "no metadata column 'ww'; did you mean 'w'"),
        ({}, {"weight": "note"}, "holds texts, such as 'text'; weights are numbers"),
        ({"w": [-1.0] * N}, {"weight": "w"}, "is -1.0; expected a number of at least 0"),
        ({"w": [np.nan, *[1.0] * (N - 1)]}, {"weight": "w"}, "is nan; expected a number of at least 0"),
        ({"w": [0.0] * N}, {"weight": "w"}, "the weights of all rows of train are 0"),
        ({}, {"class_weight": {"rara": 2.0}}, "no class 'rara'; did you mean 'rare'"),
        ({}, {"class_weight": {"rare": -2.0}}, "that of 'rare' is -2; expected a number of at least 0"),
        (
            {"label": np.linspace(0, 1, N)},
            {"class_weight": "balanced"},
            "is for a classification, and the task is regression",
        ),
    ],
)
def test_what_is_no_weight_is_refused(frame: dict[str, Any], train: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        row_weights(data(rows().assign(**frame)), TrainSpec(**train))


TIMES = torch.tensor([1, 2, 0, 1, 3, 1, 2, 1])


def gradients(method: Method, batch: Batch) -> dict[str, Tensor]:
    method.eval().zero_grad()
    method.loss(batch, 0.5, torch.Generator().manual_seed(0)).total.backward()
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "task", [Task.regression(), Task.classification(("a", "b")), Task.multilabel(("a", "b"))], ids=str
)
@pytest.mark.parametrize("penalty", [None, "vrex", "group-dro", "irm"])
@pytest.mark.parametrize("name", ["erm", "gradient-blending", "mmpareto"])
def test_a_step_on_weighted_rows_is_that_on_rows_that_come_as_often(name: str, penalty: str | None, task: Task) -> None:
    torch.manual_seed(0)
    inner = build("methods", name, Backbone.build(MODALITIES, task, hidden=8))
    table = {} if penalty is None else {penalty: {"estimate": "all"} if penalty == "irm" else {}}
    method = RegularizedMethod(inner, make_penalties(table, inner.backbone, 2), {})
    batch = random_batch(MODALITIES, task, 8, torch.Generator().manual_seed(0))
    weighted = gradients(method, replace(batch, weight=TIMES / TIMES.float().mean()))
    repeated = gradients(method, batch.select(torch.arange(8).repeat_interleave(TIMES)))
    assert weighted.keys() == repeated.keys()
    for parameter, gradient in repeated.items():
        torch.testing.assert_close(weighted[parameter], gradient, rtol=1e-3, atol=1e-5, msg=parameter)


def test_a_mixed_view_has_the_weight_of_the_row_whose_label_it_has() -> None:
    backbone = Backbone.build(MODALITIES, Task.regression(), hidden=8)
    batch = random_batch(MODALITIES, backbone.task, 8, torch.Generator().manual_seed(0))
    batch = replace(batch, weight=batch.target.clone())
    for _, view in Mixup(alpha=1.0)(batch, backbone, torch.Generator().manual_seed(1)):
        assert view.weight is not None
        assert torch.equal(view.weight, view.target)


def test_weights_decide_what_is_learnt_and_which_epoch_is_kept(tmp_path: Path) -> None:
    frame = rows().assign(label=lambda part: np.where(part["x"] > 0, "up", "down"))
    wrong = frame.assign(label=np.where(frame["x"] > 0, "down", "up"), w=0.0)
    both = pd.concat([frame.assign(w=1.0), wrong], ignore_index=True)
    dataset = dc.dataset(both, target="label", x="x", quiet=True)
    run = dc.fit(dataset, "erm", out=tmp_path / "run", train=FAST | {"weight": "w"}, progress=False)
    assert np.mean(run.predict(frame)["prediction"].to_numpy() == frame["label"].to_numpy()) > 0.9
    valid = dataset.batch("valid")
    shares = run.predict_proba(dataset).to_numpy()[valid.ids.numpy()]
    risk = -np.log(shares[np.arange(len(valid)), valid.target.numpy()])
    weight = dataset.columns["w"].values[valid.ids.numpy()]
    assert (run.done or {})["best_risk"] == pytest.approx(float((risk * weight).sum() / weight.sum()), rel=1e-3)


def test_balanced_classes_find_the_rare_one(tmp_path: Path) -> None:
    dataset = dc.dataset(rows(), target="label", x="x", quiet=True)
    counts = []
    for number, more in enumerate(({}, {"class_weight": "balanced"}, {"class_weight": {"rare": 1000.0}})):
        run = dc.fit(dataset, "erm", out=tmp_path / str(number), train=FAST | more, progress=False)
        counts.append(int((run.predict(dataset)["prediction"] == "rare").sum()))
    assert counts[0] < counts[1] < counts[2]


class Plain(Method):
    """A loss that does not say that it weighs rows."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, features, output)


def test_a_method_that_does_not_weigh_rows_is_refused(tmp_path: Path) -> None:
    dataset = dc.dataset(rows(), target="label", x="x", quiet=True)
    with pytest.raises(SpecError, match=r"Plain does not say that it weighs rows; .* through batch.mean"):
        dc.fit(dataset, Plain, out=tmp_path / "run", train=FAST | {"weight": "w"}, progress=False)
    assert not (tmp_path / "run").exists()


def test_every_registered_method_weighs_rows() -> None:
    from deconfound.compose import weighs_rows

    for name in names("methods"):
        method = build("methods", name, Backbone.build(MODALITIES, Task.regression(), hidden=8))
        assert weighs_rows(method) == (method.hooks.fit is None), name  # what is fitted at once refuses weights
