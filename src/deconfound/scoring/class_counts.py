"""Hits and class sizes of a confusion matrix, for F1 and recall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deconfound.scoring.weights import Array


class ClassCounts(NamedTuple):
    """Sums per class; the last axis runs over C classes.

    Args:
        hits: weight of the rows whose predicted and true class is this one.
        true: weight of the rows whose true class is this one.
        predicted: weight of the rows whose predicted class is this one.
    """

    hits: Array
    true: Array
    predicted: Array


def count_classes(prediction: Array, target: Array) -> ClassCounts:
    """Counts over every class from the smallest to the largest of N ≥ 1 rows.

    Args:
        prediction, target: (N,) whole class numbers.
    """
    lowest = min(prediction.min(), target.min())
    size = int(max(prediction.max(), target.max()) - lowest) + 1
    hits, true, predicted = (
        np.bincount(classes - lowest, minlength=size) for classes in (target[prediction == target], target, prediction)
    )
    return ClassCounts(hits, true, predicted)


def count_weighted_classes(weights: Array, prediction: Array, target: Array) -> ClassCounts:
    """(R, C) sums under (R, N) row weights, over the classes that occur in the labels or the predictions."""
    classes = np.unique(np.concatenate([prediction, target]))
    is_true, is_predicted = target[:, None] == classes, prediction[:, None] == classes
    hits, true, predicted = (
        weights @ member.astype(float) for member in (is_true & is_predicted, is_true, is_predicted)
    )
    return ClassCounts(hits, true, predicted)


def f1_by_class(counts: ClassCounts) -> Array:
    """2 hits / (true + predicted) of each class, 0 for a class that does not occur."""
    total = counts.true + counts.predicted
    return np.where(total > 0, 2 * counts.hits / np.where(total > 0, total, 1), 0.0)
