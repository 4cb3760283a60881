"""How good an epoch, or a run, is on its validation rows: one number, lower is better, for all that is chosen."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from deconfound.data.task import Task
from deconfound.protocol import protocol_of
from deconfound.scoring.rescaled_risk import scaled_risk, tempered_risk
from deconfound.scoring.weights import Array

Criterion = Literal["risk", "calibrated-risk", "metric"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


def validation_score(
    criterion: Criterion, risk: float, output: Array, target: Array, task: Task, centre: float
) -> float:
    """The score of predictions by one of the criteria.

    - "risk": the mean risk of the task;
    - "calibrated-risk": the same after the best scale of all predictions, see `scoring.rescaled_risk`: a temperature for
      classes and labels, a factor around the mean for numbers;
    - "metric": the primary metric of the task's protocol, negative where higher is better.

    Args:
        risk: mean risk of the task.
        output: (N, outputs) logits or predictions.
        target: (N,), or (N, L) of labels.
        centre: mean of the training targets of a regression.

    Returns:
        lower is better; infinite where it is undefined or an output is not finite.
    """
    if criterion == "risk":
        return risk
    if not math.isfinite(risk):
        return math.inf
    if criterion == "metric":
        protocol = protocol_of(task.protocol, task.kind)
        value = protocol.score(output, target)[protocol.primary].value
        higher = protocol.metrics[protocol.primary].higher_is_better
        return math.inf if value is None else -value if higher else value
    if task.kind == "classification":
        return tempered_risk(output, target)
    if task.kind == "multilabel":  # each label is a classification of two classes, of which the first has the logit 0
        pairs = np.stack([np.zeros_like(output), output], axis=-1).reshape(-1, 2)
        return tempered_risk(pairs, target.reshape(-1).astype(np.int64))
    return scaled_risk(output[:, 0], target, centre, squares=task.loss == "mse")
