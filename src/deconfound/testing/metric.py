"""The laws of every `Metric`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import get_args

import numpy as np

from deconfound.metric import Inputs, Metric
from deconfound.scoring.weights import Array

_CLASSES = 3
_PERFECT_MARGIN = 40.0
"""Logit of the true class above the others in a perfect prediction: its probability is 1 to 17 digits."""

Rows = tuple[Array, Array]
"""(prediction, target) as the metric takes them."""


def check_metric(metric: Metric, *, seed: int = 0) -> None:
    """Hold a metric to its laws.

    - `inputs` is "values", "classes", "logits" or "label-logits". A value is a finite float, or None where it is undefined.
    - No prediction is better than the labels themselves.
    - The order of the rows does not matter.
    - With weights of one the weighted form gives the value, and with weights k the value of the rows repeated k times;
      NaN exactly where that value is None, and NaN where every weight is 0.
    - The predictions, labels and weights stay as they are.

    The rows have ties, constant predictions, constant labels, labels of one class, and single rows among them.

    Args:
        seed: of the rows.

    Raises:
        AssertionError: a broken law, named.
    """
    assert metric.inputs in get_args(Inputs), f"inputs is one of {get_args(Inputs)}; got {metric.inputs!r}"
    generator = np.random.default_rng(seed)
    for prediction, target in _examples(metric, generator):
        _check_inputs_stay(metric, prediction, target)
        _check_value(metric, prediction, target)
        _check_order(metric, prediction, target, generator)
        _check_weights(metric, prediction, target, generator)
        _check_perfect(metric, prediction, target)


def _examples(metric: Metric, generator: np.random.Generator) -> Iterator[Rows]:
    classes = metric.classes or _CLASSES
    for rows in (1, 2, 3, 10, 60):
        for tied in (True, False):
            if metric.inputs == "values":
                pair = generator.integers(-4, 5, (2, rows)) / 4 if tied else generator.normal(size=(2, rows))
                prediction, target = pair.astype(np.float32)
            elif metric.inputs == "classes":
                prediction, target = generator.integers(0, classes, (2, rows))
            else:
                shape = rows, classes
                logits = generator.integers(-2, 3, shape) if tied else 2 * generator.normal(size=shape)
                several = metric.inputs == "label-logits"
                target = generator.integers(0, 2, shape) if several else generator.integers(0, classes, rows)
                prediction = logits.astype(np.float32)
            yield prediction, target
            yield np.repeat(prediction[:1], rows, axis=0), target
            yield prediction, np.repeat(target[:1], rows, axis=0)


def _check_inputs_stay(metric: Metric, prediction: Array, target: Array) -> None:
    own_prediction, own_target, weights = prediction.copy(), target.copy(), np.ones((2, len(target)))
    metric.value(own_prediction, own_target)
    metric.weighted(own_prediction, own_target)(weights)
    same = np.array_equal(prediction, own_prediction) and np.array_equal(target, own_target)
    assert same, "the predictions and labels stay as they are"
    assert np.array_equal(weights, np.ones_like(weights)), "the weights stay as they are"


def _check_value(metric: Metric, prediction: Array, target: Array) -> None:
    value = metric.value(prediction, target)
    finite = value is None or (isinstance(value, float) and math.isfinite(value))
    assert finite, f"a value is a finite float, or None where the rows do not define it; got {value!r}"


def _check_order(metric: Metric, prediction: Array, target: Array, generator: np.random.Generator) -> None:
    order = generator.permutation(len(target))
    one, other = metric.value(prediction, target), metric.value(prediction[order], target[order])
    assert _same(one, other), f"the order of the rows does not matter; got {one} and {other}"


def _check_weights(metric: Metric, prediction: Array, target: Array, generator: np.random.Generator) -> None:
    weighted, count = metric.weighted(prediction, target), len(target)
    ones = np.ones((2, count))
    _compare(
        weighted(ones), [metric.value(prediction, target)] * 2, "with weights of one the weighted form is the value"
    )
    weights = generator.multinomial(count, np.full(count, 1 / count), size=8).astype(np.float64)
    computed = weighted(weights)
    repeated = [np.repeat(np.arange(count), row.astype(np.int64)) for row in weights]
    expected = [metric.value(prediction[rows], target[rows]) for rows in repeated]
    _compare(computed, expected, "weights k are rows repeated k times")
    _compare(weighted(np.zeros((2, count))), [None, None], "rows of weight 0 leave a metric undefined (NaN)")


def _compare(computed: Array, expected: list[float | None], law: str) -> None:
    shown = [None if np.isnan(value) else float(value) for value in np.asarray(computed, dtype=np.float64)]
    undefined = [value is None for value in shown] == [value is None for value in expected]
    same = len(shown) == len(expected) and all(map(_same, shown, expected))
    assert same or undefined, f"{law}, NaN exactly where the value is None; got {shown}, expected {expected}"
    assert same, f"{law}; got {shown}, expected {expected}"


def _check_perfect(metric: Metric, prediction: Array, target: Array) -> None:
    perfect = target
    if metric.inputs == "logits":
        perfect = (_PERFECT_MARGIN * np.eye(prediction.shape[1])[target]).astype(np.float32)
    if metric.inputs == "label-logits":
        perfect = (_PERFECT_MARGIN * (2 * target - 1)).astype(np.float32)
    best, value = metric.value(perfect, target), metric.value(prediction, target)
    if best is None or value is None:
        return
    beaten = metric.better(value, best) and not _same(value, best)
    assert not beaten, f"no prediction is better than the labels themselves; {value} is better than {best}"


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
