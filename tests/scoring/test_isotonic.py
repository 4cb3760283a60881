"""Isotonic calibration against scikit-learn."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from deconfound.scoring.isotonic import fit_isotonic


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are its probabilities."""

    def fit(self, share, target):
        self.classes_ = np.unique(target)
        return self

    def predict_proba(self, share):
        return share

    def predict(self, share):
        return self.classes_[share.argmax(axis=1)]


def sample(classes: int, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n, classes))
    return logits, np.where(rng.uniform(size=n) < 0.6, logits.argmax(axis=1), rng.integers(0, classes, n))


@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_that_of_scikit_learn(classes):
    logits, target = sample(classes)
    fresh, _ = sample(classes, seed=1)
    share = softmax(logits, axis=1)
    model = FrozenEstimator(Given().fit(share, target))
    theirs = CalibratedClassifierCV(model, method="isotonic", cv=2).fit(share, target)
    expected = theirs.calibrated_classifiers_
    mapped = np.exp(fit_isotonic(logits, target)(fresh))
    np.testing.assert_allclose(mapped.sum(axis=1), 1)
    # scikit-learn with a frozen model fits on all rows; ours differs by the floor alone
    assert len(expected) == 1
    np.testing.assert_allclose(mapped, theirs.predict_proba(softmax(fresh, axis=1)), atol=0.02)


def test_no_probability_is_zero_and_the_order_of_rows_is_kept():
    logits, target = sample(2)
    mapped = fit_isotonic(logits, target)(logits)
    assert np.isfinite(mapped).all()
    order = np.argsort(softmax(logits, axis=1)[:, 1])
    assert (np.diff(mapped[order, 1]) >= -1e-12).all()


def test_a_class_without_validation_rows_stays_finite():
    logits, target = sample(3)
    mapped = fit_isotonic(logits[target != 2], target[target != 2])(logits)
    assert np.isfinite(mapped).all()
    np.testing.assert_allclose(np.exp(mapped).sum(axis=1), 1)
