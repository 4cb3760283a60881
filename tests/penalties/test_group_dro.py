import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from deconfound.penalties.group_dro import GroupDRO
from support.linear_problem import Linear, backbone


def worst_case(problem: Linear) -> np.ndarray:
    """argmin over (a, b) of the largest risk: the least t with R_e ≤ t for all e."""
    limits = {"type": "ineq", "fun": lambda x: x[2] - problem.risks(x[:2])}
    found = minimize(lambda x: x[2], [0.5, 0.3, 2.0], constraints=[limits], tol=1e-12, options={"maxiter": 500})
    return found.x[:2]


def test_it_finds_the_predictor_of_the_least_worst_risk() -> None:
    problem = Linear()
    penalty = GroupDRO(backbone(1), 3, rate=0.05).double()
    theta = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    mean = torch.zeros(2, dtype=torch.float64)
    for step in range(3000):
        loss = problem.loss(theta)
        total = loss.total + penalty.current_weight(1.0) * penalty(loss, problem.batch)
        (gradient,) = torch.autograd.grad(total, theta)
        with torch.no_grad():
            theta -= 0.05 * gradient
            mean += theta / 1000 if step >= 2000 else 0
    np.testing.assert_allclose(mean, worst_case(problem), atol=5e-3)
    assert float(penalty.share.sum()) == pytest.approx(1)


def test_the_total_estimates_the_weighted_risk_from_some_of_the_environments() -> None:
    problem = Linear()
    batch = problem.batch.select(torch.arange(100))  # 80 rows of the first environment, 20 of the second
    penalty = GroupDRO(backbone(1), 3, rate=0.5)
    full = problem.loss(torch.tensor([0.4, 0.2], dtype=torch.float64))
    risks = full.risks[:100]
    loss = type(full)(risks.mean(), {}, risks, {}, full.output[:100])
    first, second = (float(risks[batch.env == e].mean()) for e in (0, 1))
    q = np.exp([0.75 * first, 0.75 * second, 0])
    q /= q.sum()
    assert float(loss.total + penalty(loss, batch)) == pytest.approx(1.5 * q[:2] @ [first, second], rel=1e-6)
    np.testing.assert_allclose(penalty.share, q, rtol=1e-5)
    penalty = GroupDRO(backbone(1), 3, rate=0.5)
    penalty.see_environments(torch.tensor([0, 1]))  # the third has validation rows alone
    q = np.exp([0.5 * first, 0.5 * second])
    q /= q.sum()
    assert float(loss.total + penalty(loss, batch)) == pytest.approx(q @ [first, second], rel=1e-6)
    np.testing.assert_allclose(penalty.share, [*q, 0], rtol=1e-5)


def test_shares_move_in_training_alone() -> None:
    problem = Linear()
    penalty = GroupDRO(backbone(1), 3, rate=0.5)
    loss = problem.loss(torch.tensor([0.4, 0.2], dtype=torch.float64))
    penalty.eval()(loss, problem.batch)
    np.testing.assert_allclose(penalty.share, [1 / 3] * 3, rtol=1e-6)
    penalty.train()(loss, problem.batch)
    assert int(penalty.share.argmax()) == int(problem.risks(np.array([0.4, 0.2])).argmax())
    other = GroupDRO(backbone(1), 3)
    other.load_state_dict(penalty.state_dict())
    assert torch.equal(other.share, penalty.share)
