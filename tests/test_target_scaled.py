"""Regressions learn targets of any origin and unit; methods and penalties do not see which."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deconfound.api import fit
from deconfound.compose import RegularizedMethod
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.diagnostics.rows import observe
from deconfound.errors import DataError
from deconfound.method import Method
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.registry import build, names
from deconfound.runs.build import set_scales
from deconfound.target_scaled import TargetScaled, target_scale
from deconfound.testing import check_method
from support.small import FAST, tiny

UNIT, ORIGIN = 8.0, 64.0
"""Powers of two: the targets in the other unit are exact."""


def linear(mean: float, std: float, rows: int = 150, **task: Any) -> Dataset:
    """8 features and a linear target with a little noise; as many rows in each split."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(3 * rows, 8, generator=draw, dtype=torch.float64)
    weight = torch.nn.functional.normalize(torch.randn(8, generator=draw, dtype=torch.float64), dim=0)
    y = 0.98 * x @ weight + 0.18 * torch.randn(3 * rows, generator=draw, dtype=torch.float64)
    return Dataset.build(
        "linear",
        Task.regression(**task),
        {"x": Signal(x.float()[:, None], torch.ones(3 * rows, 1, dtype=torch.bool))},
        (mean + std * y).float(),
        {"id": [f"r{i}" for i in range(3 * rows)]},
        np.repeat(["train", "valid", "test"], rows),
    )


def in_another_unit(data: Dataset) -> Dataset:
    return replace(data, target=ORIGIN + UNIT * data.target)


@pytest.mark.parametrize(("mean", "std"), [(50, 1), (5.1, 0.65), (0, 1000), (0, 1e-3)])
def test_a_target_far_from_0_is_learned_with_the_defaults(mean: float, std: float, tmp_path: Path) -> None:
    data = linear(mean, std)
    run = fit(data, "erm", out=tmp_path / "r", train={"threads": 1, "accelerator": "cpu"}, progress=False)
    batch = data.batch("test")
    with torch.no_grad():
        error = float((run.method()(batch).squeeze(1) - batch.target).square().mean()) / std**2
    assert error < 0.08, "ridge regression has .0335, the mean 1.0"


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_training_does_not_depend_on_origin_and_unit(loss: str, tmp_path: Path) -> None:
    data = linear(0, 1, rows=40, loss=loss)
    given: dict[str, Any] = {"train": {**FAST, "epochs": 8}, "progress": False}
    first, second = (
        fit(rows, "cmir", out=tmp_path / name, **given) for name, rows in (("a", data), ("b", in_another_unit(data)))
    )
    assert first.done is not None
    assert second.done is not None
    assert first.done["best_epoch"] == second.done["best_epoch"]
    unit = UNIT**2 if loss == "mse" else UNIT
    assert second.done["best_risk"] == pytest.approx(unit * first.done["best_risk"], rel=1e-3)
    with torch.no_grad():
        a, b = (run.method()(data.batch("test")) for run in (first, second))
    torch.testing.assert_close(b, ORIGIN + UNIT * a, rtol=1e-3, atol=1e-3)


def trained(method: Method, data: Dataset, steps: int = 3) -> tuple[list[float], Tensor, Tensor]:
    """Totals and per-row risks of a few steps with all hooks, and the predictions and variants after them."""
    scaled, development = TargetScaled(method), data.development()
    set_scales(scaled, development)
    optimiser = torch.optim.SGD([p for p in scaled.parameters() if p.requires_grad], lr=1e-2)
    totals, risks, draw = [], [], torch.Generator().manual_seed(1)
    batch = development.batch("train")
    for epoch in range(steps):
        torch.manual_seed(epoch)
        scaled.hooks.on_epoch_start(epoch, development, draw)
        loss = scaled.train().loss(batch, epoch / steps, draw)
        optimiser.zero_grad()
        loss.total.backward()
        scaled.hooks.after_backward(draw)
        optimiser.step()
        totals.append(float(loss.total.detach()))
        risks.append(loss.risks.detach())
        with torch.no_grad():
            scaled.eval().hooks.on_validation_start(development)
    with torch.no_grad():
        outputs = [scaled(batch), *scaled.variants(batch).values()]
    return totals, torch.stack(risks), torch.stack(outputs)


METHODS = [{"name": name} for name in names("methods")]
PENALTIES = [{"name": "erm", "penalties": {name: {}}} for name in names("penalties")]
INNER = [{"name": "cmir", "inner": "pmr"}, {"name": "cmir", "source": "directed", "predict_on": "both"}]


@pytest.mark.filterwarnings("ignore:the predominant modality is")
@pytest.mark.parametrize(
    "choice", [*METHODS, *PENALTIES, *INNER, {"name": "erm", "augmentations": {"noise": {}}}], ids=str
)
@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_no_method_and_no_penalty_sees_origin_and_unit(choice: dict[str, Any], loss: Any) -> None:
    data = tiny(n=36, task=Task.regression(loss=loss))

    def make() -> Method:
        torch.manual_seed(0)
        backbone = Backbone.build(data.modalities, data.task, hidden=8)
        arguments = {key: value for key, value in choice.items() if key not in ("name", "penalties", "augmentations")}
        method = build("methods", choice["name"], backbone, **arguments)
        penalties = {name: build("penalties", name, method.backbone, 2) for name in choice.get("penalties", {})}
        return RegularizedMethod(
            method, penalties, {name: build("augmentations", name) for name in choice.get("augmentations", {})}
        )

    totals, risks, outputs = trained(make(), data)
    other_totals, other_risks, other_outputs = trained(make(), in_another_unit(data))
    assert other_totals == pytest.approx(totals, rel=1e-3, abs=1e-5)
    torch.testing.assert_close(other_risks, risks * (UNIT**2 if loss == "mse" else UNIT), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(other_outputs, ORIGIN + UNIT * outputs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_risks_and_output_are_in_the_targets_units_and_the_total_is_not(loss: Any) -> None:
    data = in_another_unit(tiny(task=Task.regression(loss=loss)))
    method = TargetScaled(ERM(Backbone.build(data.modalities, data.task, hidden=8))).eval()
    set_scales(method, data.development())
    batch = data.batch("train")
    loss_of_batch = method.loss(batch, 0.5, torch.Generator())
    torch.testing.assert_close(loss_of_batch.output, method(batch))
    torch.testing.assert_close(loss_of_batch.risks, data.task.risk(method(batch), batch.target), rtol=1e-4, atol=1e-4)
    std = float(batch.target.double().std(correction=0))
    expected = loss_of_batch.risks.mean() / (std**2 if loss == "mse" else std)
    torch.testing.assert_close(loss_of_batch.total, expected, rtol=1e-4, atol=1e-5)


def test_the_scale_is_that_of_the_training_rows_and_travels_with_the_weights() -> None:
    data = tiny()
    train = data.target[: data.rows("train").stop].double()
    mean, std = target_scale(data)
    assert (mean, std) == pytest.approx((float(train.mean()), float(train.std(correction=0))))
    assert target_scale(replace(data, target=torch.full_like(data.target, 7.3)))[1] == 1
    first, second = (TargetScaled(ERM(Backbone.build(data.modalities, data.task, hidden=8))).eval() for _ in range(2))
    set_scales(first, data.development())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(data.batch("test")), second(data.batch("test")))


def test_it_keeps_the_laws_of_a_method() -> None:
    def make(backbone: Backbone) -> TargetScaled:
        method = TargetScaled(ERM(backbone))
        method.set_scale(3.0, 2.0)
        return method

    check_method(make)


def test_double_precision_and_halves_keep_the_mean(tmp_path: Path) -> None:
    data = linear(1000, 1, rows=20)
    train = {**FAST, "precision": "64-true"}
    run = fit(data, "erm", out=tmp_path / "r", train=train, progress=False)
    assert run.done is not None
    assert run.done["best_risk"] < 10
    method = run.method()
    batch = data.batch("test")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        halves = method(batch)
    with torch.no_grad():
        torch.testing.assert_close(halves, method(batch), rtol=0, atol=0.05)


def test_diagnostics_compare_predictions_in_the_targets_units() -> None:
    data = in_another_unit(tiny())
    torch.manual_seed(0)
    method = TargetScaled(ERM(Backbone.build(data.modalities, data.task, hidden=8))).eval()
    set_scales(method, data.development())
    assert observe(method, data, "valid")[0].rest == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            1e6 + torch.linspace(-1e-3, 1e-3, 12, dtype=torch.float64),
            "32-bit floats round them by 0.12; subtract a constant",
        ),
        (torch.linspace(-1e-20, 1e-20, 12), "expected one in .1e-15, 1e.15.; give them in another unit"),
        (torch.linspace(-1e30, 1e30, 12), "give them in another unit"),
    ],
)
def test_targets_that_floats_do_not_hold_are_refused_before_anything_is_written(
    target: Tensor, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        fit(tiny(target=target), "erm", out=tmp_path / "r", train=FAST, progress=False)
    assert not (tmp_path / "r").exists()
