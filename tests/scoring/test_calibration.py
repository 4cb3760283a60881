"""Calibration against loops, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from deconfound.errors import DataError
from deconfound.metrics.aurc import AURC
from deconfound.metrics.brier import Brier
from deconfound.metrics.ece import ECE
from deconfound.scoring.calibration import BINS, confidence_bins, probabilities, reliability

aurc, brier, ece = AURC().value, Brier().value, ECE().value


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


def test_a_confidence_on_an_edge_lies_in_the_bin_below_it() -> None:
    edges = np.arange(1, 5) / 4
    assert confidence_bins(edges, 4).tolist() == [0, 1, 2, 3]
    assert confidence_bins(np.nextafter(edges[:-1], 1), 4).tolist() == [1, 2, 3]
    assert confidence_bins(np.array([0.0, 1.0]), 4).tolist() == [0, 3]


def test_a_row_on_an_edge_is_averaged_with_the_rows_below_it() -> None:
    logits = np.array([[0.0, 0.0, -1000.0], [0.0, 0.0, 0.0]])  # confidence of exactly 1/2, and 1/3
    diagram = reliability(logits, np.array([0, 2]), bins=2)
    assert diagram.count.tolist() == [2, 0]
    assert diagram.accuracy[0] == 0.5
    assert diagram.confidence[0] == pytest.approx(5 / 12)


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
    diagram = reliability(logits, target, bins=5)
    filled = diagram.count > 0
    assert diagram.count.sum() == len(target)
    assert np.isnan(diagram.accuracy[~filled]).all()
    mean = (diagram.count[filled] * diagram.accuracy[filled]).sum() / len(target)
    assert mean == pytest.approx((logits.argmax(axis=1) == target).mean())
    assert ((diagram.confidence[filled] > np.flatnonzero(filled) / 5) | (np.flatnonzero(filled) == 0)).all()


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
    area = aurc(logits, wrong)
    if len(set(level.tolist())) == n:
        assert area == pytest.approx(total[0])
    assert area == pytest.approx(np.mean(total), abs=4 * np.std(total) / np.sqrt(300) + 1e-9)


def test_aurc_at_its_ends() -> None:
    logits, _ = sample(50, 2)
    chosen = logits.argmax(axis=1)
    assert aurc(logits, chosen) == 0
    assert aurc(logits, 1 - chosen) == pytest.approx(1)
    confidence = probabilities(logits).max(axis=1)
    k = 10
    worst_last = np.where(np.isin(np.arange(50), np.argsort(confidence)[:k]), 1 - chosen, chosen)
    assert aurc(logits, worst_last) == pytest.approx(sum(i / (50 - k + i) for i in range(1, k + 1)) / 50)


def test_a_regression_has_no_calibration() -> None:
    for measure in (ece, brier, aurc):
        with pytest.raises(DataError, match="two or more classes"):
            measure(np.zeros((3, 1)), np.zeros(3, int))
        with pytest.raises(DataError, match="class numbers below 2"):
            measure(np.zeros((3, 2)), np.array([0, 1, 2]))
