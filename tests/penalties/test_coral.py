from itertools import combinations

import numpy as np
import pytest
import torch

from deconfound.penalties.coral import CORAL
from support.linear_problem import Linear, backbone, by_algebra, by_class


def features(inputs: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """The two summands of the prediction side by side."""
    return inputs * theta


def distance(problem: Linear, theta: np.ndarray) -> float:
    """Mean squared differences of means and covariances of (a C, b S) over pairs of environments, by algebra."""
    shifts = [np.array([0, shift]) for shift in problem.shifts]
    n = 2 * problem.rows
    covariances = [
        np.outer(theta, theta) * (m[:2, :2] - np.outer(s, s)) * n / (n - 1)
        for m, s in zip(problem.covariance, shifts, strict=True)
    ]
    pairs = list(combinations(range(3), 2))
    means = np.mean([((theta * (shifts[i] - shifts[j])) ** 2).mean() for i, j in pairs])
    return means + np.mean([((covariances[i] - covariances[j]) ** 2).mean() for i, j in pairs])


@pytest.mark.parametrize("weight", [0.0, 0.5, 10.0])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float) -> None:
    problem = Linear(shifts=(0.0, 0.3, -0.5))
    expected = by_algebra(lambda t: problem.risks(t).mean() + weight * distance(problem, t))
    found = by_class(problem, CORAL(backbone(2), 3, weight=weight), features)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_large_weight_leaves_the_shortcut() -> None:
    found = by_class(Linear(shifts=(0.0, 0.3, -0.5)), CORAL(backbone(2), 3, weight=1e6), features)
    np.testing.assert_allclose(found, [1, 0], atol=0.01)
