from itertools import combinations

import numpy as np
import pytest

from deconfound.penalties.moments import Moments
from support.linear_problem import NOISE_Y, Linear, backbone, by_algebra, by_class


def distance(problem: Linear, theta: np.ndarray) -> float:
    """Of the regression of f = a C + b S on y in units of its standard deviation, by algebra."""
    v = 1 + NOISE_Y**2
    f = np.array([*theta, 0.0])
    power = np.array([f @ moments @ f for moments in problem.covariance])
    scale = power.mean()
    slopes = np.array([f @ moments[:, 2] for moments in problem.covariance]) / v  # on y itself
    left = power - slopes**2 * v
    told = np.stack([slopes * np.sqrt(v / scale), left / scale], 1)  # the intercepts are 0
    return float(np.mean([((a - b) ** 2).sum() for a, b in combinations(told, 2)]))


@pytest.mark.parametrize(("weight", "estimate"), [(0.0, "all"), (0.1, "halves"), (0.1, "all"), (2.0, "halves")])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float, estimate: str) -> None:
    problem = Linear()  # each row is there twice, once in each half, so that both estimates are the same
    expected = by_algebra(lambda t: problem.risks(t).mean() + weight * distance(problem, t))
    found = by_class(problem, Moments(backbone(1), 3, weight=weight, estimate=estimate))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_large_weight_leaves_the_shortcut() -> None:
    found = by_class(Linear(), Moments(backbone(1), 3, weight=1e4))
    np.testing.assert_allclose(found, [1, 0], atol=0.01)
