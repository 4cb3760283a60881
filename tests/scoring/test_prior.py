"""Prior shift against Bayes' rule on tables of counts."""

import numpy as np
from scipy.special import softmax

from deconfound.scoring.prior import shift_prior, smoothed_shares


def test_it_is_bayes_rule_with_the_other_prior():
    rng = np.random.default_rng(0)
    likelihood = rng.dirichlet(np.ones(5), size=3)  # p(x | y) of 3 classes over 5 values of x
    source, target = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])

    def posterior(prior: np.ndarray) -> np.ndarray:
        joint = (prior[:, None] * likelihood).T
        return joint / joint.sum(axis=1, keepdims=True)

    shifted = shift_prior(np.log(posterior(source)), source, target)
    np.testing.assert_allclose(softmax(shifted, axis=1), posterior(target), rtol=1e-10)


def test_the_same_prior_changes_nothing():
    logits, share = np.random.default_rng(0).normal(size=(4, 3)), np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(shift_prior(logits, share, share), logits)


def test_a_class_with_share_zero_is_finite_and_never_predicted():
    logits = np.array([[0.0, 50.0]])
    shifted = shift_prior(logits, np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    assert np.isfinite(shifted.astype(np.float32)).all()
    assert shifted.argmax() == 0


def test_no_class_has_share_zero():
    np.testing.assert_allclose(smoothed_shares(np.array([9, 0])), [0.95, 0.05])
