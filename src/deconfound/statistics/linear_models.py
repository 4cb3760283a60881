"""Linear models on equally many rows of each cell, averaged over draws of these rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression, Ridge


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A linear model of one number, or of the logits of C classes.

    Args:
        weight: (outputs, W) float64, for inputs in their own units.
        bias: (outputs,).
        strength: of its L2 penalty, per row, on inputs in standard deviations.
        classify: whether the outputs are logits.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    classify: bool

    def risks(self, values: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(N,) cross-entropies or squared errors of (N, W) inputs."""
        output = values @ self.weight.T + self.bias
        if self.classify:
            return -log_softmax(output, axis=1)[np.arange(len(target)), target]
        return (output[:, 0] - target) ** 2


def balanced_fit(
    values: np.ndarray, target: np.ndarray, cells: np.ndarray, strength: float, draws: int, classes: int = 0
) -> LinearFit:
    """The mean of the models of several draws, each of as many rows of every cell as the smallest has.

    Args:
        values: (N, W) inputs; they are standardised by all rows.
        target: (N,) numbers, or class numbers that all occur.
        cells: (N,) cell of each row.
        strength: L2 penalty per row.
        draws: number of draws; the same rows for the same arguments.
        classes: C of a classification, 0 for a regression.
    """
    mean, spread = values.mean(0), values.std(0)
    scaled = (values - mean) / np.where(spread > 0, spread, 1)
    random = np.random.default_rng(0)
    members = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    fewest = min(map(len, members))
    weights, biases = [], []
    for _ in range(draws):
        rows = np.concatenate([random.choice(own, fewest, replace=False) for own in members])
        weight, bias = _fit(scaled[rows], target[rows], strength, classes)
        weights.append(weight)
        biases.append(bias)
    weight = np.mean(weights, axis=0) / np.where(spread > 0, spread, 1)
    return LinearFit(weight, np.mean(biases, axis=0) - weight @ mean, strength, classes > 0)


def _fit(values: np.ndarray, target: np.ndarray, strength: float, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(outputs, W) weights and (outputs,) biases of one draw; a class that it lacks gets those of no evidence."""
    count = len(values)
    if classes == 0:
        model = Ridge(alpha=strength * count).fit(values, target)
        return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    held = np.unique(target)
    weight, bias = np.zeros((classes, values.shape[1])), np.full(classes, np.log(0.5 / (count + 1)))
    if len(held) == 1:
        bias[held] = 0.0
        return weight, bias
    model = LogisticRegression(C=1 / (strength * count), max_iter=2000).fit(values, target)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(held) == 2:  # one logit stands for two
        coefficients, intercepts = (np.concatenate([-half, half]) for half in (coefficients / 2, intercepts / 2))
    weight[held], bias[held] = coefficients, intercepts
    return weight, bias
