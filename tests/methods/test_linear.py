"""`linear` against scikit-learn and algebra, with absent modalities, absent classes and no validation rows."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from deconfound.data.task import Task
from deconfound.methods.linear import Linear
from deconfound.nn.backbone import Backbone
from deconfound.nn.shallow.fit_linear import PENALTIES, fit_linear
from deconfound.testing.examples import MODALITIES, learnable_dataset


def rows(task: Task, n: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=draw) * torch.tensor([1.0, 30.0, 0.01, 0.0]) + torch.tensor([0.0, 5.0, 2.0, 7.0])
    latent = x[:, 0] + x[:, 1] / 30 + torch.randn(n, generator=draw)
    if task.kind == "regression":
        return x, latent
    return x, latent.argsort().argsort() * task.outputs // n


def scaled(x: torch.Tensor, like: torch.Tensor) -> np.ndarray:
    centre, unit = like.double().mean(0).numpy(), like.double().std(0, correction=0).numpy()
    return (x.double().numpy() - centre) / np.where(unit > 1e-5, unit, 1)


@pytest.mark.parametrize("task", [Task.regression(), Task.regression(loss="l1")], ids=["mse", "l1"])
def test_numbers_are_those_of_ridge_regression_with_the_best_validation_risk(task: Task) -> None:
    train, valid = rows(task), rows(task, 40, 1)
    weight, bias = fit_linear(train, valid, task)
    models = [Ridge(alpha=penalty).fit(scaled(train[0], train[0]), train[1]) for penalty in PENALTIES]
    outputs = [model.predict(scaled(valid[0], train[0])) for model in models]
    errors = [np.abs(output - valid[1].numpy()) for output in outputs]
    risks = [(error**2 if task.loss == "mse" else error).mean() for error in errors]
    expected = outputs[int(np.argmin(risks))]
    np.testing.assert_allclose(valid[0].double().numpy() @ weight[0] + bias[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_those_of_logistic_regression_with_the_best_validation_risk(classes: int) -> None:
    task = Task.classification(tuple("abc"[:classes]))
    train, valid = rows(task), rows(task, 40, 1)
    weight, bias = fit_linear(train, valid, task)
    best = None
    for penalty in PENALTIES:
        model = LogisticRegression(C=1 / penalty, max_iter=10_000, tol=1e-8)
        probability = model.fit(scaled(train[0], train[0]), train[1]).predict_proba(scaled(valid[0], train[0]))
        risk = -np.log(probability[np.arange(40), valid[1]]).mean()
        if best is None or risk < best[0]:
            best = risk, probability
    assert best is not None
    logits = torch.from_numpy(valid[0].double().numpy() @ weight.T + bias)
    np.testing.assert_allclose(logits.softmax(1).numpy(), best[1], atol=2e-3)


def test_without_validation_rows_the_strongest_penalty_is_taken() -> None:
    task = Task.regression()
    train = rows(task)
    weight, _ = fit_linear(train, (train[0][:0], train[1][:0]), task)
    expected = Ridge(alpha=PENALTIES[0]).fit(scaled(train[0], train[0]), train[1]).coef_
    np.testing.assert_allclose(
        weight[0][:3] * train[0].double().std(0, correction=0).numpy()[:3], expected[:3], rtol=1e-6
    )


def test_a_class_without_training_rows_keeps_the_odds_of_half_a_row() -> None:
    task = Task.classification(("a", "b", "c"))
    x, target = rows(Task.classification(("a", "b")))
    weight, bias = fit_linear((x, 2 * target), (x, 2 * target), task)
    assert not weight[1].any()
    assert bias[1] == pytest.approx(np.log(0.5 / len(x)))
    lone, share = fit_linear((x, torch.ones_like(target)), (x, target), task)
    assert not lone.any()
    np.testing.assert_allclose(share, np.log([0.5 / 60, 1, 0.5 / 60]))


def test_an_absent_modality_counts_as_the_mean_of_train_and_its_indicator() -> None:
    task = Task.regression()
    data = learnable_dataset(MODALITIES, task, torch.Generator().manual_seed(0))
    method = Linear(Backbone.build(MODALITIES, task)).eval()
    assert method.hooks.fit is not None
    method.hooks.fit(data.development(), torch.Generator())
    batch, widths = data.batch("test"), method.backbone.widths
    weight, bias = method.backbone.fusion.weight[0], method.backbone.fusion.bias[0]
    text = batch.signals["text"].values.mean(1) @ weight[: widths["text"]]
    indicators = weight[sum(widths.values()) :]
    expected = text + indicators[1] + indicators[2] + bias
    torch.testing.assert_close(method(batch.without("audio", "image"))[:, 0], expected)
