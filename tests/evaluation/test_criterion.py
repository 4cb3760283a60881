"""One number for an epoch or a run, lower is better."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_squared_error

from deconfound.data.task import Task
from deconfound.evaluation.criterion import CRITERIA, validation_score
from deconfound.protocol import get_protocol

CLASSES = Task.classification(("a", "b", "c"))
LOGITS = np.array([[2.0, 0, 0], [0, 1, 0], [3, 0, 0]], dtype=np.float32)
TARGET = np.array([0, 1, 2])


def test_the_risk_is_given() -> None:
    assert validation_score("risk", 0.25, LOGITS, TARGET, CLASSES, 0.0) == 0.25


def test_the_metric_is_the_primary_one_with_its_sign() -> None:
    primary = get_protocol(CLASSES.protocol).primary
    assert primary == "accuracy"
    expected = -accuracy_score(TARGET, LOGITS.argmax(1))
    assert validation_score("metric", 1.0, LOGITS, TARGET, CLASSES, 0.0) == pytest.approx(expected)
    task, output, target = Task.regression(), np.array([[1.0], [2], [5]], dtype=np.float32), np.array([1.0, 3, 3])
    assert get_protocol(task.protocol).primary == "mse"
    value = validation_score("metric", 1.0, output, target, task, 0.0)
    assert value == pytest.approx(mean_squared_error(target, output[:, 0]))


def test_the_calibrated_risk_does_not_know_confidence() -> None:
    scores = [validation_score("calibrated-risk", 1.0, f * LOGITS, TARGET, CLASSES, 0.0) for f in (1.0, 20.0)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize("criterion", [name for name in CRITERIA if name != "risk"])
def test_an_infinite_risk_is_an_infinite_score(criterion) -> None:
    wild = np.full_like(LOGITS, np.nan)
    assert validation_score(criterion, math.inf, wild, TARGET, CLASSES, 0.0) == math.inf
    assert validation_score(criterion, math.nan, wild, TARGET, CLASSES, 0.0) == math.inf
