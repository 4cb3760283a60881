"""F1 of all labels together."""

from __future__ import annotations

from deconfound.metric import Metric
from deconfound.scoring.label_counts import count_labels
from deconfound.scoring.weights import Array, Weighted, ratio, with_unit_weights


class LabelMicroF1(Metric):
    """2 hits / (labels of the rows + predicted ones), summed over all labels; None where there is neither."""

    inputs = "label-logits"

    def value(self, prediction: Array, target: Array) -> float | None:
        return with_unit_weights(self.weighted(prediction, target), len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        def values(weights: Array) -> Array:
            counts = count_labels(weights, prediction, target)
            return ratio(2 * counts.hits.sum(axis=1), (counts.true + counts.predicted).sum(axis=1))

        return values
