import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from deconfound.penalties.dann import DANN
from support.linear_problem import Linear, backbone, by_algebra

PROBLEM = Linear(correlations=(0.6, 0.6), shifts=(-0.7, 0.7))


def best(theta: np.ndarray) -> tuple[LogisticRegression, float]:
    """The discriminator of the prediction a C + b S by scikit-learn, and its cross-entropy."""
    z, env = PROBLEM.inputs.numpy() @ theta[:, None], PROBLEM.batch.env.numpy()
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(z, env)
    return model, float(log_loss(env, model.predict_proba(z)))


def trained(theta: np.ndarray, weight: float = 1.0) -> DANN:
    """The penalty with the best linear discriminator in it."""
    model, _ = best(theta)
    penalty = DANN(backbone(1), 2, weight=weight, depth=1).double()
    line, start = float(model.coef_[0, 0]), float(model.intercept_[0])
    with torch.no_grad():
        penalty.discriminator[0].weight.copy_(torch.tensor([[0.0], [line]]))
        penalty.discriminator[0].bias.copy_(torch.tensor([0.0, start]))
    return penalty


@pytest.mark.parametrize("theta", [[0.6, 0.4], [1.0, -0.2]])
def test_its_value_is_the_cross_entropy_and_its_gradient_is_reversed(theta: list[float]) -> None:
    penalty = trained(np.array(theta))
    variable = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    value = penalty(PROBLEM.loss(variable), PROBLEM.batch)
    assert float(value.detach()) == pytest.approx(best(np.array(theta))[1], abs=1e-7)
    (gradient,) = torch.autograd.grad(value, variable)
    steps = 1e-3 * np.eye(2)  # of the best cross-entropy itself: the discriminator's share is 0 at its optimum
    slope = [(best(theta + step)[1] - best(theta - step)[1]) / 2e-3 for step in steps]
    np.testing.assert_allclose(gradient, -np.array(slope), atol=1e-4)


def saddle(weight: float) -> np.ndarray:
    """(a, b) of the least mean risk less weight times the best cross-entropy, with the gradient that the class gives."""

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        penalty = trained(theta, weight)
        variable = torch.tensor(theta, requires_grad=True)
        loss = PROBLEM.loss(variable)
        value = penalty(loss, PROBLEM.batch)
        (gradient,) = torch.autograd.grad(loss.total + penalty.current_weight(1.0) * value, variable)
        return float((loss.total - weight * value).detach()), gradient.numpy()

    return minimize(objective, [0.9, 0.1], jac=True, tol=1e-7).x


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_a_finite_weight_gives_the_minimum_of_the_formula(weight: float) -> None:
    expected = by_algebra(lambda t: PROBLEM.risks(t).mean() - weight * best(t)[1], starts=[[0.9, 0.1]], digits=1e-5)
    np.testing.assert_allclose(saddle(weight), expected, atol=2e-3)


def test_a_large_weight_leaves_what_tells_the_environment() -> None:
    assert saddle(0.0)[1] > 0.2
    np.testing.assert_allclose(saddle(300.0), [1, 0], atol=0.01)


def test_rows_without_a_modality_do_not_count() -> None:
    penalty = DANN(backbone(1), 2)
    batch = PROBLEM.batch
    kept = torch.arange(len(batch)) % 3 > 0
    partly = batch.with_signals({"m": batch.signals["m"].keep(kept.unsqueeze(1))})
    loss = PROBLEM.loss(torch.tensor([0.6, 0.4], dtype=torch.float64))
    rows = torch.nonzero(kept).squeeze(1)
    alone = type(loss)(loss.total, {}, loss.risks[rows], {"m": loss.features["m"][rows]}, loss.output[rows])
    penalty = penalty.double()
    torch.testing.assert_close(penalty(loss, partly), penalty(alone, batch.select(rows)))
