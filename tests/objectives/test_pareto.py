import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from deconfound.objectives.pareto import pareto_coefficients


def split(values: torch.Tensor) -> list[torch.Tensor]:
    return [values[:4].reshape(2, 2), values[4:]]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.floats(-2, 2), st.floats(0.01, 100))
def test_the_step_harms_neither_loss_and_is_as_long_as_the_sum(seed: int, pull: float, scale: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    a = torch.randn(7, generator=draw)
    b = scale * (pull * a + torch.randn(7, generator=draw))
    first, second, cosine = pareto_coefficients(split(a), split(b), 1.5)
    step = first * a + second * b
    assert cosine.item() == pytest.approx(torch.cosine_similarity(a, b, dim=0).item(), abs=1e-5)
    slack = 1e-4 * step.norm() * max(a.norm(), b.norm())
    assert step @ a >= -slack
    assert step @ b >= -slack
    assert step.norm().item() == pytest.approx(1.5 * (a + b).norm().item(), rel=1e-3) or step.norm() > (a + b).norm()


@pytest.mark.parametrize("seed", range(10))
def test_conflicting_gradients_give_the_shortest_vector_between_them(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    a = torch.randn(7, generator=draw)
    b = -0.5 * a + torch.randn(7, generator=draw)
    if a @ b >= 0:
        b = b - 2 * (a @ b) / (a @ a) * a
    x, y = a.double().numpy(), b.double().numpy()
    best = minimize_scalar(lambda c: np.sum((c * x + (1 - c) * y) ** 2), bounds=(0, 1), method="bounded").x
    shortest = best * x + (1 - best) * y
    expected = shortest * max(2.0, np.linalg.norm(x + y) / np.linalg.norm(shortest))
    first, second, _ = pareto_coefficients(split(a), split(b), 1.0)
    np.testing.assert_allclose((first * a + second * b).numpy(), expected, rtol=1e-3, atol=1e-3)


def test_agreeing_gradients_are_added() -> None:
    a, b = torch.tensor([1.0, 2, 0, 0, 0]), torch.tensor([1.0, 0, 3, 0, 0])
    assert [c.item() for c in pareto_coefficients(split(a), split(b), 1.5)[:2]] == [1.5, 1.5]


def test_gradients_of_zero_have_defined_answers() -> None:
    zero, a = torch.zeros(5), torch.tensor([3.0, 0, 4, 0, 0])
    for first, second in ((zero, zero), (a, zero), (zero, a), (a, -a)):
        found = pareto_coefficients(split(first), split(second), 1.0)
        assert all(bool(torch.isfinite(value)) for value in found)
    both = pareto_coefficients(split(a), split(zero), 1.0)
    torch.testing.assert_close(both[0] * a + both[1] * zero, a)
