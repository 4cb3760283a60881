import numpy as np
import pytest

from deconfound.penalties.vrex import VREx
from support.linear_problem import Linear, backbone, by_algebra, by_class


@pytest.mark.parametrize("weight", [0.0, 0.3, 3.0, 100.0])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float) -> None:
    problem = Linear()
    expected = by_algebra(lambda t: problem.risks(t).mean() + weight * problem.risks(t).var())
    found = by_class(problem, VREx(backbone(1), 3, weight=weight))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_least_squares_uses_the_shortcut_and_a_large_weight_leaves_it() -> None:
    plain, strong = (by_class(Linear(), VREx(backbone(1), 3, weight=weight)) for weight in (0.0, 1e5))
    assert plain[1] > 0.4
    np.testing.assert_allclose(strong, [1, 0], atol=0.01)
