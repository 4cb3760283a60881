"""Metrics of several labels a row against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, hamming_loss

from deconfound.protocol import get_protocol

N, LABELS = 40, 4
Array = np.ndarray


def rows(seed: int) -> tuple[Array, Array]:
    """Logits with ties and labels of unequal frequency, the last of which never occurs."""
    draw = np.random.default_rng(seed)
    target = (draw.random((N, LABELS)) < [0.6, 0.3, 0.1, 0.0]).astype(np.float32)
    logits = np.round(draw.normal(size=(N, LABELS)) + target, 1).astype(np.float32)
    logits[:, -1] = -1
    return logits, target


def mean_precision(logits: Array, target: Array, weights: Array) -> float:
    occurring = target.T @ weights > 0
    scores = [
        average_precision_score(y, score, sample_weight=weights)
        for y, score in zip(target.T[occurring], logits.T[occurring], strict=True)
    ]
    return float(np.mean(scores))


def f1(average: str) -> Callable[[Array, Array, Array], float]:
    def value(logits: Array, target: Array, weights: Array) -> float:
        scored = {"sample_weight": weights, "average": average, "zero_division": np.nan}
        return float(f1_score(target, logits >= 0, **scored))

    return value


def subset(logits: Array, target: Array, weights: Array) -> float:
    right = [bool((row == truth).all()) for row, truth in zip(logits >= 0, target > 0, strict=True)]
    return float(np.average(right, weights=weights))


def slow_calibration(logits: Array, target: Array, weights: Array) -> float:
    total, gap = LABELS * weights.sum(), 0.0
    probability = 1 / (1 + np.exp(-logits.astype(float)))
    for k in range(15):
        inside = (probability > k / 15) & (probability <= (k + 1) / 15)
        gap += abs(float((weights[:, None] * (probability - target))[inside].sum()))
    return gap / float(total)


ORACLES: dict[str, Callable[[Array, Array, Array], float]] = {
    "map": mean_precision,
    "label-macro-f1": f1("macro"),
    "label-micro-f1": f1("micro"),
    "subset-accuracy": subset,
    "hamming-loss": lambda logits, target, weights: hamming_loss(target, logits >= 0, sample_weight=weights),
    "label-ece": slow_calibration,
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_weighted_values_are_those_of_scikit_learn(name: str, seed: int) -> None:
    logits, target = rows(seed)
    measure = get_protocol("multilabel").measurable[name]
    score = measure.score(logits, target)
    assert score.n == N
    assert score.value == pytest.approx(ORACLES[name](logits, target, np.ones(N)), abs=1e-7)
    weights = np.random.default_rng(seed).integers(0, 3, (4, N)).astype(float)
    expected = [ORACLES[name](logits, target, row) for row in weights]
    np.testing.assert_allclose(measure.weighted(logits, target)(weights), expected, atol=1e-7)


def test_the_protocol_records_five_metrics_and_keeps_undefined_ones_apart() -> None:
    logits, target = rows(0)
    scores = get_protocol("multilabel").score(logits, target)
    assert list(scores) == ["label-macro-f1", "label-micro-f1", "map", "subset-accuracy", "hamming-loss"]
    nothing = get_protocol("multilabel").score(-np.ones((3, 2)), np.zeros((3, 2)))
    assert {name: score.value for name, score in nothing.items()} == {
        "label-macro-f1": None,
        "label-micro-f1": None,
        "map": None,
        "subset-accuracy": 1.0,
        "hamming-loss": 0.0,
    }
