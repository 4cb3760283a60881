"""Risks after the best scale, against grids and SciPy."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from deconfound.scoring.rescaled_risk import scaled_risk, tempered_risk


def logits(seed: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    target = draw.integers(0, 3, 60)
    made = draw.normal(size=(60, 3))
    made[np.arange(60), target] += 1
    return (factor * made).astype(np.float32), target


@pytest.mark.parametrize("factor", [0.05, 1.0, 40.0])
def test_it_is_the_least_cross_entropy_over_a_grid_of_temperatures(factor: float) -> None:
    made, target = logits(0, factor)
    grid = np.exp(np.linspace(-7, 7, 4001))
    losses = [
        log_loss(target, np.exp(log_softmax(made.astype(float) / t, axis=1)), labels=[0, 1, 2]) for t in grid[::20]
    ]
    assert tempered_risk(made, target) <= min(losses) + 1e-6
    fine = [-log_softmax(made.astype(float) / t, axis=1)[np.arange(60), target].mean() for t in grid]
    assert tempered_risk(made, target) == pytest.approx(min(fine), abs=1e-5)


def test_a_common_factor_changes_nothing() -> None:
    made, target = logits(1, 1.0)
    assert tempered_risk(made, target) == pytest.approx(tempered_risk(30 * made, target), abs=1e-6)


def test_predictions_that_are_all_right_have_no_risk_and_wrong_ones_that_of_chance() -> None:
    target = np.array([0, 1, 2, 0])
    right = np.eye(3, dtype=np.float32)[target]
    assert tempered_risk(right, target) == pytest.approx(0, abs=1e-6)
    assert tempered_risk(-right, target) == pytest.approx(np.log(3), abs=1e-3)


@pytest.mark.parametrize("squares", [True, False])
@pytest.mark.parametrize("slope", [0.3, 2.0, -1.0])
def test_the_factor_is_the_best_of_all(slope: float, squares: bool) -> None:
    draw = np.random.default_rng(3)
    prediction = draw.normal(2, 1, 41)
    target = 2 + slope * (prediction - 2) + draw.normal(0, 0.5, 41)

    def risk(factor: float) -> float:
        gap = target - (2 + factor * (prediction - 2))
        return float(np.square(gap).mean() if squares else np.abs(gap).mean())

    least = minimize_scalar(risk, bounds=(0, 10), method="bounded", options={"xatol": 1e-9}).fun
    assert scaled_risk(prediction, target, 2.0, squares=squares) == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize("squares", [True, False])
def test_a_constant_prediction_is_that_of_the_centre(squares: bool) -> None:
    target = np.array([1.0, 2.0, 4.0])
    expected = np.square(target - 2).mean() if squares else np.abs(target - 2).mean()
    assert scaled_risk(np.full(3, 2.0), target, 2.0, squares=squares) == pytest.approx(expected)
