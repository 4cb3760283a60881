import numpy as np
import pytest
import torch

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


def test_two_of_three_environments_estimate_the_variance_over_all_three() -> None:
    problem, theta = Linear(), torch.tensor([0.4, 0.2], dtype=torch.float64)
    penalty, full, values = VREx(backbone(1), 9), problem.loss(theta), []
    penalty.see_environments(problem.batch.env)
    for left_out in range(3):
        rows = torch.nonzero(problem.batch.env != left_out).squeeze(1)
        risks = full.risks[rows]
        loss = type(full)(risks.mean(), {}, risks, {}, full.output[rows])
        values.append(float(penalty(loss, problem.batch.select(rows))))
    assert np.mean(values) == pytest.approx(problem.risks(theta.numpy()).var(), rel=1e-6)
