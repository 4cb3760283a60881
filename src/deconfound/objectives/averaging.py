"""Averages of predictions, and the probability that a prediction gives to the truth."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.data.task import Task


def average(task: Task, outputs: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of predictions: of the values in a regression, of the probabilities in a classification.

    Args:
        outputs: (V, B, outputs) predictions or logits.
        weights: (V, B) non-negative, with a positive sum in every row.

    Returns:
        (B, outputs) predictions, or logits whose softmax is the weighted mean of the softmaxes.
    """
    share = (weights / weights.sum(0)).unsqueeze(2)
    if task.kind == "regression":
        return (share * outputs).sum(0)
    return torch.logsumexp(outputs.log_softmax(2) + share.log(), 0)


def risks_of_each(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """Risk of every row under each of V predictions: (V, B, outputs), (B,) or (B, L) → (V, B)."""
    count = len(outputs)
    return task.risk(outputs.flatten(0, 1), torch.cat([target] * count)).unflatten(0, (count, -1))


def confidence_in_truth(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """Probability that each prediction gives to the truth.

    Args:
        outputs: (V, B, outputs).
        target: (B,).

    Returns:
        (V, B) in [0, 1]: the probability of the true class; in a regression exp(-risk / s) with s the risk of the batch's
        mean target, so that the scale of the target has no effect. The reading for regressions is ours.
    """
    risks = risks_of_each(task, outputs, target)
    if task.kind == "regression":
        constant = target.mean().expand(len(target), 1)
        risks = risks / task.risk(constant, target).mean().clamp(min=1e-12)
    return torch.exp(-risks)
