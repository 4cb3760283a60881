"""F1 averaged over labels."""

from __future__ import annotations

from deconfound.metric import Metric
from deconfound.scoring.class_counts import f1_by_class
from deconfound.scoring.label_counts import count_labels
from deconfound.scoring.weights import Array, Weighted, ratio, with_unit_weights


class LabelMacroF1(Metric):
    """Mean of F1_l over the labels that occur in the rows or the predictions; None where none does."""

    inputs = "label-logits"

    def value(self, prediction: Array, target: Array) -> float | None:
        return with_unit_weights(self.weighted(prediction, target), len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        def values(weights: Array) -> Array:
            counts = count_labels(weights, prediction, target)
            occurs = counts.true + counts.predicted > 0
            return ratio(f1_by_class(counts).sum(axis=1), occurs.sum(axis=1).astype(float))

        return values
