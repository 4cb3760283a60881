"""Every measure of every protocol as a function of row weights equals the measure of the drawn rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.metric import Measure
from deconfound.protocol import get_protocol
from deconfound.registry import names

EVERY = [(protocol, metric) for protocol in names("protocols") for metric in get_protocol(protocol).measurable]


def rows(protocol: str, metric: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(N, outputs) and (N,) with ties, zeros and values on the edges of the classes."""
    if get_protocol(protocol).kind == "classification":
        classes = get_protocol(protocol).measurable[metric].metric.classes or 4
        return rng.integers(-2, 3, (n, classes)).astype(np.float32), rng.integers(0, classes, n)
    if get_protocol(protocol).kind == "multilabel":
        return rng.integers(-2, 3, (n, 4)).astype(np.float32), rng.integers(0, 2, (n, 4)).astype(np.float32)
    edges = np.array([-3, -1.5, -0.7, -0.5, -0.1, 0, 0, 0.1, 0.5, 1.2, 2.5], dtype=np.float32)
    return rng.choice(edges, (n, 1)), rng.choice(edges, n)


def drawn_value(measure: Measure, output: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """The oracle: the measure itself on the repeated rows."""
    drawn = np.repeat(np.arange(len(target)), weights)
    value = measure.score(output[drawn], target[drawn]).value
    return np.nan if value is None else value


@pytest.mark.parametrize(("protocol", "metric"), EVERY)
def test_a_weighted_measure_is_the_measure_of_the_drawn_rows(protocol: str, metric: str) -> None:
    rng = np.random.default_rng(0)
    measure = get_protocol(protocol).measurable[metric]
    for n in (1, 2, 3, 9, 60):
        output, target = rows(protocol, metric, n, rng)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=12)
        weights[0], weights[1] = 1, 0
        expected = [drawn_value(measure, output, target, counts) for counts in weights]
        np.testing.assert_allclose(measure.weighted(output, target)(weights), expected, rtol=1e-6, atol=1e-9)


def test_constant_predictions_have_no_correlation_under_any_weights() -> None:
    corr = get_protocol("regression").metrics["corr"]
    weighted = corr.weighted(np.full((6, 1), 0.1, np.float32), np.arange(6, dtype=np.float32))
    assert np.isnan(weighted(np.ones((3, 6)))).all()


def test_a_metric_of_two_classes_is_undefined_for_three() -> None:
    auroc = get_protocol("classification").metrics["auroc"]
    assert np.isnan(auroc.weighted(np.eye(3), np.arange(3))(np.ones((2, 3)))).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**31), st.integers(2, 4))
def test_doubling_all_weights_changes_no_metric_but_the_aurc(n: int, seed: int, factor: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, (4, n))
    for protocol, metric in EVERY:
        if metric == "aurc":  # a mean over ranks, of which there are then more
            continue
        weighted = get_protocol(protocol).measurable[metric].weighted(*rows(protocol, metric, n, rng))
        np.testing.assert_allclose(weighted(weights), weighted(factor * weights), rtol=1e-6, atol=1e-8)
