"""`Metric`: one number from predictions and labels. `Measure`: a metric on the rows and classes that a protocol fixes.

A metric is one module of `deconfound.metrics`, found by its name, or an entry point `deconfound.metrics` of another
package. Its value is None where the rows do not define it, for instance the correlation of constant predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

import numpy as np

from deconfound.scoring.weights import Array, Weighted

Inputs = Literal["values", "classes", "logits", "label-logits"]


class Metric(ABC):
    """One number from N ≥ 1 rows, in shares or target units, never percent.

    Both methods are pure functions. What they take follows from `inputs`:

    - "values": (N,) float32 predictions and labels of a regression;
    - "classes": (N,) whole numbers, the predicted and the true classes;
    - "logits": (N, C) logits and (N,) class numbers in [0, C);
    - "label-logits": (N, L) logits of L labels and (N, L) of 0 and 1; a label is predicted from a logit of 0 on.
    """

    inputs: ClassVar[Inputs]
    higher_is_better: ClassVar[bool] = True
    """False for errors."""
    classes: ClassVar[int | None] = None
    """The only number of classes C for which the metric is defined; None for any."""

    @abstractmethod
    def value(self, prediction: Array, target: Array) -> float | None:
        """The metric of N ≥ 1 rows; None where they do not define it."""

    @abstractmethod
    def weighted(self, prediction: Array, target: Array) -> Weighted:
        """The metric as a function of row weights, for resamples of the rows.

        With weights of one it gives `value`, with weights k the value of the rows repeated k times, and NaN for None.
        `scoring.weights.repeated_rows(self.value, prediction, target)` is right for every metric and slow.
        """

    @final
    def better(self, a: float, b: float) -> bool:
        """True if the value `a` is better than `b`."""
        return a > b if self.higher_is_better else a < b


class Score(NamedTuple):
    """A metric's value, None where it is undefined, and the number of rows that it is about."""

    value: float | None
    n: int


def all_rows(target: Array) -> Array:
    """(N,) True."""
    return np.ones(len(target), dtype=bool)


def unchanged(values: Array) -> Array:
    """The values themselves."""
    return values


@dataclass(frozen=True)
class Measure:
    """A metric with the rows that enter it and what is made of their labels and predictions.

    Args:
        metric: what is computed.
        transform: (N,) float32 → (N,), for predictions and labels of a regression alike: clipping, or classes for a
            metric of classes. Not used for a classification, whose predicted class is that of the largest logit, the
            lower number in a tie.
        rows: (N,) labels → (N,) bool, the rows that enter.
    """

    metric: Metric
    transform: Callable[[Array], Array] = unchanged
    rows: Callable[[Array], Array] = all_rows

    @property
    def higher_is_better(self) -> bool:
        """False for errors."""
        return self.metric.higher_is_better

    def is_defined_for(self, outputs: int) -> bool:
        """Whether the metric is defined for outputs of this width: 1 for a regression, else C."""
        return outputs == 1 or self.metric.classes in (None, outputs)

    def score(self, output: Array, target: Array) -> Score:
        """The metric of the rows that enter.

        Args:
            output: (N, 1) predictions or (N, C) logits.
            target: (N,) labels or class numbers, or (N, L) labels.
        """
        prediction, truth, _ = self._select(output, target)
        return Score(self.metric.value(prediction, truth) if len(truth) else None, len(truth))

    def weighted(self, output: Array, target: Array) -> Weighted:
        """The metric as a function of (R, N) weights of all rows.

        Args:
            output: (N, 1) predictions or (N, C) logits, as kept.
            target: (N,) labels or class numbers.
        """
        if not self.is_defined_for(output.shape[1]):
            return lambda weights: np.full(len(weights), np.nan)
        prediction, truth, keep = self._select(output, target)
        values = self.metric.weighted(prediction, truth)
        if keep.all():
            return lambda weights: values(np.asarray(weights, dtype=np.float64))
        return lambda weights: values(np.asarray(weights, dtype=np.float64)[:, keep])

    def _select(self, output: Array, target: Array) -> tuple[Array, Array, Array]:
        """What the metric takes of the rows that enter, and (N,) bool, which rows these are."""
        if output.shape[1] == 1:
            labels = target.astype(np.float32)
            keep = self.rows(labels)
            prediction, truth = output[keep, 0].astype(np.float32), labels[keep]
            return self.transform(prediction), self.transform(truth), keep
        keep = self.rows(target)
        prediction = output[keep]
        return prediction.argmax(axis=1) if self.metric.inputs == "classes" else prediction, target[keep], keep
