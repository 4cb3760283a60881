import numpy as np
import pytest
import torch

from deconfound.penalties.vrex import VREx
from support.linear_problem import Linear, backbone, by_algebra


def balanced(problem: Linear, weight: float) -> np.ndarray:
    """(a, b) at which the mean risk plus weight · Var / R̄ is least, R̄ held at its own value: a fixed point."""
    unit = 1.0
    for _ in range(60):
        theta = by_algebra(lambda t, u=unit: problem.risks(t).mean() + weight / u * problem.risks(t).var())
        if abs(problem.risks(theta).mean() - unit) < 1e-9:
            return theta
        unit = problem.risks(theta).mean()
    return theta


def gradient(problem: Linear, penalty: VREx, theta: np.ndarray) -> np.ndarray:
    variable = torch.tensor(theta, requires_grad=True)
    loss = problem.loss(variable)
    total = loss.total + penalty.current_weight(1.0) * penalty(loss, problem.batch)
    return torch.autograd.grad(total, variable)[0].numpy()


@pytest.mark.parametrize("estimate", ["halves", "all"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 3.0, 100.0])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float, estimate) -> None:
    problem = Linear()
    expected = balanced(problem, weight)
    penalty = VREx(backbone(1), 3, weight=weight, estimate=estimate)
    np.testing.assert_allclose(gradient(problem, penalty, expected), 0, atol=1e-3)
    assert np.abs(gradient(problem, penalty, expected + 0.05)).max() > 0.01


def test_least_squares_uses_the_shortcut_and_a_large_weight_leaves_it() -> None:
    plain, strong = (balanced(Linear(), weight) for weight in (0.0, 1e5))
    assert plain[1] > 0.4
    np.testing.assert_allclose(strong, [1, 0], atol=0.01)


def value(risks: torch.Tensor, env: torch.Tensor, **arguments) -> float:
    problem = Linear()
    loss = problem.loss(torch.zeros(2, dtype=torch.float64))
    made = type(loss)(risks.mean(), {}, risks, {}, loss.output)
    batch = problem.batch.select(torch.arange(len(env)))
    return float(VREx(backbone(1), 4, **arguments)(made, type(batch)(batch.signals, batch.target, batch.ids, env)))


@pytest.mark.parametrize("estimate", ["halves", "all"])
def test_the_value_has_the_unit_of_the_risk(estimate) -> None:
    draw = torch.Generator().manual_seed(0)
    risks, env = torch.rand(24, generator=draw, dtype=torch.float64), torch.arange(24) % 4
    once, scaled = (value(factor * risks, env, estimate=estimate) for factor in (1.0, 1000.0))
    assert scaled == pytest.approx(1000 * once, rel=1e-9)


def test_halves_have_no_bias_from_few_rows_and_all_rows_have() -> None:
    """Environments with equal true risks: the mean over many batches of the halves is 0, that of all rows is not."""
    draw, env = torch.Generator().manual_seed(1), torch.arange(16) % 4
    made = {"halves": [], "all": []}
    for _ in range(600):
        risks = torch.rand(16, generator=draw, dtype=torch.float64)
        for estimate, values in made.items():
            values.append(value(risks, env, estimate=estimate))
    spread = np.std(made["halves"]) / np.sqrt(600)
    assert abs(np.mean(made["halves"])) < 3 * spread
    assert np.mean(made["all"]) > 20 * spread


def test_halves_keep_the_variance_of_true_risks() -> None:
    draw, env = torch.Generator().manual_seed(2), torch.arange(32) % 4
    level = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    values = []
    for _ in range(400):
        risks = level[env] + 5 + torch.randn(32, generator=draw, dtype=torch.float64)
        values.append(value(risks, env, estimate="halves") * float(risks.mean()))
    expected = float(level.var(correction=0))
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / 20)


def test_two_of_three_environments_estimate_the_variance_over_all_three() -> None:
    problem, theta = Linear(), torch.tensor([0.4, 0.2], dtype=torch.float64)
    penalty, full, values = VREx(backbone(1), 9), problem.loss(theta), []
    penalty.see_environments(problem.batch.env)
    for left_out in range(3):
        rows = torch.nonzero(problem.batch.env != left_out).squeeze(1)
        risks = full.risks[rows]
        loss = type(full)(risks.mean(), {}, risks, {}, full.output[rows])
        values.append(float(penalty(loss, problem.batch.select(rows))) * float(risks.mean()))
    assert np.mean(values) == pytest.approx(problem.risks(theta.numpy()).var(), rel=1e-6)
