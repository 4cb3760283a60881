"""Every metric as a function of row weights equals the metric of the drawn rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.evaluation.metrics import PROTOCOLS, Metric
from deconfound.statistics import FORMS, weighted
from deconfound.tables.columns import measures_of

EVERY = [(protocol, metric) for protocol in PROTOCOLS for metric in measures_of(PROTOCOLS[protocol])]


def rows(protocol: str, metric: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(N, outputs) and (N,) with ties, zeros and values on the edges of the classes."""
    if PROTOCOLS[protocol].kind == "classification":
        classes = 2 if metric == "auroc" else 4
        return rng.integers(-2, 3, (n, classes)).astype(np.float32), rng.integers(0, classes, n)
    edges = np.array([-3, -1.5, -0.7, -0.5, -0.1, 0, 0, 0.1, 0.5, 1.2, 2.5], dtype=np.float32)
    return rng.choice(edges, (n, 1)), rng.choice(edges, n)


def drawn_value(metric: Metric, output: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """The oracle: the metric itself on the repeated rows."""
    rows = np.repeat(np.arange(len(target)), weights)
    if output.shape[1] == 1:
        output, target = output[:, 0], target.astype(np.float32)
    value = metric(output[rows], target[rows]).value
    return np.nan if value is None else value


@pytest.mark.parametrize(("protocol", "metric"), EVERY)
def test_a_weighted_metric_is_the_metric_of_the_drawn_rows(protocol: str, metric: str) -> None:
    assert metric in FORMS[protocol], "without a form the metric would be slow"
    rng = np.random.default_rng(0)
    measure = measures_of(PROTOCOLS[protocol])[metric]
    for n in (1, 2, 3, 9, 60):
        output, target = rows(protocol, metric, n, rng)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=12)
        weights[0], weights[1] = 1, 0
        found = weighted(measure, FORMS[protocol][metric], output, target)(weights)
        expected = [drawn_value(measure, output, target, row) for row in weights]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_metric_without_a_form_is_computed_resample_by_resample() -> None:
    rng = np.random.default_rng(1)
    median = Metric(lambda p, y: float(np.median(np.abs(p - y))), higher_is_better=False, rows=lambda y: y > 0)
    output, target = rng.normal(size=(20, 1)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    weights = rng.multinomial(20, np.full(20, 0.05), size=5)
    expected = [drawn_value(median, output, target, row) for row in weights]
    np.testing.assert_array_equal(weighted(median, None, output, target)(weights), expected)


def test_constant_predictions_have_no_correlation_under_any_weights() -> None:
    target = np.arange(6, dtype=np.float32)
    form = weighted(
        PROTOCOLS["regression"].metrics["corr"], FORMS["regression"]["corr"], np.full((6, 1), 0.1, np.float32), target
    )
    assert np.isnan(form(np.ones((3, 6)))).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**31), st.integers(2, 4))
def test_doubling_all_weights_changes_no_metric_but_the_aurc(n: int, seed: int, factor: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, (4, n))
    for protocol, metric in EVERY:
        if metric == "aurc":  # a mean over ranks, of which there are then more
            continue
        output, target = rows(protocol, metric, n, rng)
        form = weighted(measures_of(PROTOCOLS[protocol])[metric], FORMS[protocol][metric], output, target)
        np.testing.assert_allclose(form(weights), form(factor * weights), rtol=1e-6, atol=1e-8)
