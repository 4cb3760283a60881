"""Balanced linear models against scikit-learn on the drawn rows, and against closed forms."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from deconfound.statistics.linear_models import balanced_fit


def sample(classes: int, n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, n)
    return rng.normal(size=(n, 3)) * [1, 10, 0.1] + target[:, None] + 5, target


@pytest.mark.parametrize("classes", [2, 3])
def test_equal_cells_give_the_model_of_scikit_learn_on_all_rows(classes):
    values, _ = sample(classes)
    target = np.arange(len(values)) % classes
    values = values + target[:, None]
    fit = balanced_fit(values, target, target, 0.1, 1, classes)
    model = LogisticRegression(C=1 / (0.1 * len(values)), max_iter=2000)
    scaled = StandardScaler().fit_transform(values)
    expected = model.fit(scaled, target).predict_log_proba(scaled)
    risks = -expected[np.arange(len(target)), target]
    np.testing.assert_allclose(fit.risks(values, target), risks, rtol=1e-3, atol=1e-4)


def test_a_regression_is_ridge_on_standardised_inputs():
    values, cells = sample(2)
    cells = np.arange(len(values)) % 2
    target = values @ [1.0, 0.1, 3.0]
    fit = balanced_fit(values, target, cells, 0.1, 1)
    scaled = StandardScaler().fit_transform(values)
    expected = Ridge(alpha=0.1 * len(values)).fit(scaled, target).predict(scaled)
    np.testing.assert_allclose(fit.risks(values, target), (expected - target) ** 2, rtol=1e-6, atol=1e-9)


def test_small_and_large_cells_count_alike():
    target = np.array([0] * 90 + [1] * 10)
    values = np.zeros((100, 1))
    fit = balanced_fit(values, target, target, 0.1, 5, 2)
    np.testing.assert_allclose(fit.risks(values, target), np.log(2), rtol=1e-4)


def test_a_class_that_a_draw_lacks_stays_possible():
    rng = np.random.default_rng(0)
    target, cells = np.array([0, 1, 2] * 2 + [0, 1] * 40), np.array([0] * 6 + [1] * 80)
    fit = balanced_fit(rng.normal(size=(86, 2)), target, cells, 1.0, 3, 3)
    assert np.isfinite(fit.weight).all()
    assert np.isfinite(fit.bias).all()
