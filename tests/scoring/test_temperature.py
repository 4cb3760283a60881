"""Temperature scaling against a grid, scikit-learn and closed forms."""

import numpy as np
import pytest
from scipy.special import log_softmax

from deconfound.errors import DataError
from deconfound.scoring.temperature import COLDEST, HOTTEST, fit_temperature


def sample(temperature: float, n: int = 4000, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sharp by a known factor."""
    rng = np.random.default_rng(seed)
    right = rng.normal(size=(n, classes))
    share = np.exp(log_softmax(right, axis=1))
    target = (share.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1)
    return temperature * right, np.minimum(target, classes - 1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_it_finds_the_factor_and_no_grid_is_better(temperature):
    logits, target = sample(temperature)
    fitted = fit_temperature(logits, target)
    assert fitted == pytest.approx(temperature, rel=0.1)

    def risk(t: float) -> float:
        logs = log_softmax(logits / t, axis=1)
        return -(sum(logs[row, label] for row, label in enumerate(target)) + logs.mean()) / (len(target) + 1)

    assert risk(fitted) <= min(risk(t) for t in np.geomspace(0.05, 20, 200)) + 1e-9


def test_it_is_that_of_scikit_learn():
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this version of scikit-learn has no temperature scaling")
    logits, target = sample(3.0, n=500)
    theirs = calibration._TemperatureScaling().fit(logits, target)
    assert 1 / fit_temperature(logits, target) == pytest.approx(theirs.beta_, rel=1e-2)


def test_a_few_rows_that_are_all_right_do_not_make_the_model_certain():
    always = 5 * np.eye(3)[[0, 1, 2, 0]]
    temperature = fit_temperature(always, np.array([0, 1, 2, 0]))
    share = np.exp(log_softmax(always / temperature, axis=1))[[0, 1, 2, 3], [0, 1, 2, 0]]
    np.testing.assert_allclose(share, (4 + 1 / 3) / 5, rtol=1e-3)  # one row of five is of unknown class


def test_rows_without_any_relation_get_a_finite_number():
    never = np.eye(3)[[0, 1, 2, 0]]
    assert COLDEST < HOTTEST / 2 < fit_temperature(never, np.array([1, 2, 0, 2])) <= HOTTEST


def test_one_number_per_row_is_refused():
    with pytest.raises(DataError, match="two or more classes"):
        fit_temperature(np.zeros((4, 1)), np.zeros(4, dtype=int))
