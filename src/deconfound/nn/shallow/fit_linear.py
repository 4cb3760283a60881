"""Logistic and ridge regression by scikit-learn, with the regularisation chosen on validation rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from deconfound.data.task import Task
from deconfound.nn.shallow.model import log_prior, mean_risk

PENALTIES = tuple(10.0**power for power in np.arange(5, -2.1, -0.5))
"""λ of ½ λ ‖w‖² beside the sum of the rows' risks, features in standard deviations; the strongest first."""

_STEPS = 2000  # of L-BFGS


def fit_linear(train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Logits or values that are linear in the features: logistic regression for classes, ridge regression for numbers.

    Features are standardised by the training rows, the intercept is not penalised. Among `PENALTIES` the lowest
    validation risk decides, the stronger one in a tie, and the strongest without validation rows. Without training rows,
    or with one class among them, the weights are 0 and the intercept is that of `constant_output`.

    Args:
        train, valid: (N, D) features and (N,) targets.

    Returns:
        (outputs, D) weights for the features as they are, and (outputs,) intercepts, float64.
    """
    x, target = train[0].double().numpy(), train[1].numpy()
    weight, bias = np.zeros((task.outputs, x.shape[1])), constant_output(train[1], task)
    if len(target) < 2 or (task.kind == "classification" and len(np.unique(target)) < 2):
        return weight, bias
    centre, unit = x.mean(axis=0), x.std(axis=0)
    unit = np.where(unit > 1e-6 * np.abs(centre) + 1e-12, unit, 1.0)
    others = (valid[0].double().numpy() - centre) / unit
    best = np.inf
    scaled = (x - centre) / unit
    fits = _logistic(scaled, target, bias) if task.kind == "classification" else _ridge(scaled, target)
    for number, (w, b) in enumerate(fits):
        risk = mean_risk(task, others @ w.T + b, valid[1])
        if number == 0 or risk < best:
            best, weight, bias = risk, w / unit, b - (w / unit) @ centre
    return weight, bias


def constant_output(target: Tensor, task: Task) -> np.ndarray:
    """(outputs,) float64 best prediction without features: log of the classes' shares, or the mean or median of numbers."""
    if task.kind == "classification":
        return log_prior(target, task.outputs)
    numbers = target.double().numpy()
    if len(numbers) == 0:
        return np.zeros(1)
    return np.array([np.median(numbers) if task.loss == "l1" else numbers.mean()])


def _logistic(x: np.ndarray, target: np.ndarray, prior: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """((C, D), (C,)) for each penalty; a class without training rows has weights of 0 and the intercept of its prior."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=_STEPS)
    for penalty in PENALTIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # weak penalties have no finite optimum on few rows
            model.set_params(C=1 / penalty).fit(x, target)
        weight, bias = np.zeros((len(prior), x.shape[1])), prior.copy()
        weight[model.classes_[-len(model.coef_) :]] = model.coef_
        bias[model.classes_] = 0
        bias[model.classes_[-len(model.coef_) :]] = model.intercept_
        yield weight, bias


def _ridge(x: np.ndarray, target: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """((1, D), (1,)) for each penalty, by one singular value decomposition."""
    numbers = target.astype(np.float64)
    left, size, right = np.linalg.svd(x, full_matrices=False)
    onto = left.T @ (numbers - numbers.mean())
    for penalty in PENALTIES:
        yield ((size * onto / (size**2 + penalty)) @ right)[None], np.array([numbers.mean()])
