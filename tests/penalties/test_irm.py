import numpy as np
import pytest

from deconfound.penalties.irm import IRM
from support.linear_problem import Linear, backbone, by_algebra, by_class


def slopes(problem: Linear, theta: np.ndarray) -> np.ndarray:
    """(E,) ∂R_e(w f)/∂w at w = 1 = 2 E[f (f − y)], by algebra."""
    weights, f = np.array([*theta, -1.0]), np.array([*theta, 0.0])
    return np.array([2 * f @ moments @ weights for moments in problem.covariance])


@pytest.mark.parametrize("estimate", ["halves", "all"])
@pytest.mark.parametrize("weight", [0.0, 0.2, 3.0])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float, estimate: str) -> None:
    problem = Linear()  # each row is there twice, once in each half, so that both estimates are the same
    expected = by_algebra(lambda t: problem.risks(t).mean() + weight * (slopes(problem, t) ** 2).mean())
    found = by_class(problem, IRM(backbone(1), 3, weight=weight, estimate=estimate))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_large_weight_leaves_the_shortcut() -> None:
    found = by_class(Linear(), IRM(backbone(1), 3, weight=1e6))
    np.testing.assert_allclose(found, [1, 0], atol=0.01)
