"""Mean average precision."""

from __future__ import annotations

import numpy as np

from deconfound.metric import Metric
from deconfound.scoring.weights import Array, Weighted, ratio, tie_starts, with_unit_weights


class MAP(Metric):
    """Mean over the labels that occur in the rows of the average precision Σ_k (R_k − R_{k−1}) P_k; None where none does.

    P_k and R_k are precision and recall of the rows whose logit is at least the k-th largest; equal logits are one
    threshold. Nothing is interpolated.
    """

    inputs = "label-logits"

    def value(self, prediction: Array, target: Array) -> float | None:
        return with_unit_weights(self.weighted(prediction, target), len(target))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        pairs = list(zip(prediction.T, target.T, strict=True))

        def values(weights: Array) -> Array:
            by_label = np.stack([_average_precision(weights, score, truth) for score, truth in pairs])
            defined = ~np.isnan(by_label)
            return ratio(np.where(defined, by_label, 0).sum(axis=0), defined.sum(axis=0).astype(float))

        return values


def _average_precision(weights: Array, score: Array, truth: Array) -> Array:
    """(R,) of one label under (R, N) row weights; NaN where no row has it."""
    order, starts = tie_starts(score.astype(np.float64))
    hits = np.add.reduceat((weights * (truth > 0))[:, order], starts, axis=1)
    rows = np.add.reduceat(weights[:, order], starts, axis=1)
    hits_above, rows_above = (np.cumsum(part[:, ::-1], axis=1)[:, ::-1] for part in (hits, rows))
    precision = np.divide(hits_above, rows_above, out=np.zeros_like(hits_above), where=rows_above > 0)
    return ratio((hits * precision).sum(axis=1), hits.sum(axis=1))
