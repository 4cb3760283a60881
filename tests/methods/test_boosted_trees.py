"""`boosted-trees`: the arrays of nodes predict as scikit-learn does."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from deconfound.data.task import Task
from deconfound.nn.shallow.model import PooledRows
from deconfound.nn.shallow.trees import Boosting, TreesModel

BOOSTING = Boosting(40, 0.3, 7, 5)
ARGUMENTS: dict[str, Any] = {
    "max_iter": 40,
    "learning_rate": 0.3,
    "max_leaf_nodes": 7,
    "min_samples_leaf": 5,
    "early_stopping": False,
    "random_state": 3,
}


def parts(x: np.ndarray, target: np.ndarray, task: Task) -> tuple[PooledRows, PooledRows]:
    """Every third row for validation, one modality that all rows have."""
    features, labels = torch.from_numpy(x).float(), torch.from_numpy(target)
    labels = labels.long() if task.kind == "classification" else labels.float()
    third = torch.arange(len(x)) % 3 == 0
    return tuple(
        PooledRows({"x": features[keep]}, {"x": torch.ones(int(keep.sum()), dtype=torch.bool)}, labels[keep])
        for keep in (~third, third)
    )  # pyright: ignore[reportReturnType]


def model_on(train: PooledRows, valid: PooledRows, task: Task) -> TreesModel:
    model = TreesModel({"x": train.features["x"].shape[1]}, task, BOOSTING)
    model.fit(train, valid, 3)
    return model


def matrix(rows: PooledRows) -> np.ndarray:
    return np.hstack([rows.features["x"].double().numpy(), np.zeros((len(rows), 1))])


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_predicted_as_by_scikit_learn_after_the_best_iteration(classes: int) -> None:
    x, target = load_iris(return_X_y=True)
    x, target = x[target < classes] + np.random.default_rng(0).normal(size=(50 * classes, 4)), target[target < classes]
    task = Task.classification(tuple("abc"[:classes]))
    train, valid = parts(x, target, task)
    model = model_on(train, valid, task)
    reference = HistGradientBoostingClassifier(**ARGUMENTS).fit(matrix(train), train.target.numpy())
    stages = list(reference.staged_predict_proba(matrix(valid)))
    risks = [-np.log(p[np.arange(len(valid)), valid.target.numpy()]).mean() for p in stages]
    output = model(valid.features, valid.present).softmax(1).detach().numpy()
    np.testing.assert_allclose(output, stages[int(np.argmin(risks))], atol=1e-5)
    assert 0 < int(np.argmin(risks)) < 39, "the stop is tested where it is inside"


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_numbers_are_predicted_as_by_scikit_learn(loss: Any) -> None:
    x, target = load_diabetes(return_X_y=True)
    task = Task.regression(loss=loss)
    train, valid = parts(x, target, task)
    name = {"mse": "squared_error", "l1": "absolute_error"}[loss]
    reference = HistGradientBoostingRegressor(loss=name, **ARGUMENTS).fit(matrix(train), train.target.numpy())
    stages = list(reference.staged_predict(matrix(valid)))
    errors = [np.abs(stage - valid.target.numpy()) for stage in stages]
    risks = [(error**2 if loss == "mse" else error).mean() for error in errors]
    output = model_on(train, valid, task)(valid.features, valid.present)[:, 0].detach().numpy()
    np.testing.assert_allclose(output, stages[int(np.argmin(risks))], rtol=1e-5)


def test_a_class_without_training_rows_is_hardly_predicted_and_a_lone_class_always() -> None:
    x, target = load_iris(return_X_y=True)
    task = Task.classification(("a", "b", "c"))
    train, valid = parts(x[target != 1], target[target != 1], task)
    probability = model_on(train, valid, task)(valid.features, valid.present).softmax(1)
    assert float(probability[:, 1].detach().max()) < 0.05
    assert bool((probability.argmax(1) == valid.target).float().mean() > 0.95)
    train, valid = parts(x[:50], target[:50], task)
    assert bool((model_on(train, valid, task)(valid.features, valid.present).argmax(1) == 0).all())


def test_a_second_fit_leaves_nothing_of_the_first() -> None:
    x, target = load_diabetes(return_X_y=True)
    task = Task.regression()
    train, valid = parts(x, target, task)
    model = model_on(train, valid, task)
    model.fit(*parts(x[:60], target[:60], task), 3)
    once = model_on(*parts(x[:60], target[:60], task), task)
    assert all(torch.equal(value, once.state_dict()[name]) for name, value in model.state_dict().items())
