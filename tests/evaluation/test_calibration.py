"""Calibration against loops, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from deconfound.errors import DataError
from deconfound.evaluation.calibration import BINS, aurc, brier, ece, probabilities, reliability


def logits_of(share: np.ndarray) -> np.ndarray:
    return np.log(share)


def sample(n: int = 200, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(n, classes)), rng.integers(0, classes, n)


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    logits = np.array([[0.0, np.log(3)], [1000.0, 0.0]])
    np.testing.assert_allclose(probabilities(logits), [[0.25, 0.75], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(probabilities(logits + 7), probabilities(logits))


def test_ece_is_the_loop_over_bins_closed_on_the_right() -> None:
    logits, target = sample()
    share = probabilities(logits)
    total = 0.0
    for k in range(BINS):
        low, high = k / BINS, (k + 1) / BINS
        inside = [i for i in range(len(target)) if low < share[i].max() <= high]
        if inside:
            right = np.mean([share[i].argmax() == target[i] for i in inside])
            total += len(inside) / len(target) * abs(right - np.mean([share[i].max() for i in inside]))
    assert ece(logits, target) == pytest.approx(total)


def test_a_calibrated_classifier_has_no_error_and_a_sure_wrong_one_all_of_it() -> None:
    target = np.array([0] * 8 + [1] * 2)
    assert ece(np.tile(logits_of(np.array([0.8, 0.2])), (10, 1)), target) == pytest.approx(0)
    sure = np.tile([50.0, 0.0], (10, 1))
    assert ece(sure, np.ones(10, int)) == pytest.approx(1)
    assert brier(sure, np.ones(10, int)) == pytest.approx(2)
    assert brier(sure, np.zeros(10, int)) == pytest.approx(0)
    assert ece(sure, np.zeros(10, int)) == pytest.approx(0)


def test_reliability_counts_every_row_once() -> None:
    logits, target = sample()
    found = reliability(logits, target, bins=5)
    filled = found.count > 0
    assert found.count.sum() == len(target)
    assert np.isnan(found.accuracy[~filled]).all()
    mean = (found.count[filled] * found.accuracy[filled]).sum() / len(target)
    assert mean == pytest.approx((logits.argmax(axis=1) == target).mean())
    assert ((found.confidence[filled] > np.flatnonzero(filled) / 5) | (np.flatnonzero(filled) == 0)).all()


def test_brier_is_that_of_scikit_learn_and_twice_it_for_two_classes() -> None:
    logits, target = sample(classes=4)
    share = probabilities(logits)
    loops = np.mean([sum((share[i, c] - (c == target[i])) ** 2 for c in range(4)) for i in range(len(target))])
    assert brier(logits, target) == pytest.approx(loops)
    two, binary = sample(classes=2)
    assert brier(two, binary) == pytest.approx(2 * brier_score_loss(binary, probabilities(two)[:, 1]))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**31))
def test_aurc_is_the_mean_over_all_orders_of_rows_of_equal_confidence(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.choice([0.6, 0.8, 0.9], n)
    logits, wrong = logits_of(np.stack([level, 1 - level], axis=1)), rng.integers(0, 2, n)
    confidence = probabilities(logits).max(axis=1)
    total = []
    for _ in range(300):
        order = np.lexsort([rng.random(n), -confidence])
        total.append(np.mean(np.cumsum(wrong[order]) / np.arange(1, n + 1)))
    found = aurc(logits, wrong)
    assert found is not None
    if len(set(level.tolist())) == n:
        assert found == pytest.approx(total[0])
    assert found == pytest.approx(np.mean(total), abs=4 * np.std(total) / np.sqrt(300) + 1e-9)


def test_aurc_at_its_ends() -> None:
    logits, _ = sample(50, 2)
    chosen = logits.argmax(axis=1)
    assert aurc(logits, chosen) == 0
    assert aurc(logits, 1 - chosen) == pytest.approx(1)
    confidence = probabilities(logits).max(axis=1)
    k = 10
    worst_last = np.where(np.isin(np.arange(50), np.argsort(confidence)[:k]), 1 - chosen, chosen)
    assert aurc(logits, worst_last) == pytest.approx(sum(i / (50 - k + i) for i in range(1, k + 1)) / 50)


def test_no_row_has_no_calibration_and_a_regression_none_either() -> None:
    empty = np.empty((0, 2)), np.empty(0, int)
    assert ece(*empty) is brier(*empty) is aurc(*empty) is None
    for measure in (ece, brier, aurc):
        with pytest.raises(DataError, match="two or more classes"):
            measure(np.zeros((3, 1)), np.zeros(3, int))
        with pytest.raises(DataError, match="class numbers below 2"):
            measure(np.zeros((3, 2)), np.array([0, 1, 2]))
