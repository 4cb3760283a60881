"""Every metric of every protocol as a function of row weights, so that thousands of resamples cost one matrix product.

A resample of rows is a whole number per row: how often it was drawn. With weights of one, each form here gives the value
of the metric itself; the tests hold it to that for every protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from deconfound.evaluation import metrics
from deconfound.evaluation.calibration import BINS, confidence_bins, probabilities, row_brier
from deconfound.evaluation.metrics import Array, Metric

Weighted = Callable[[Array], Array]
"""(R, N) counts of the rows in R resamples → (R,) values, NaN where the metric is undefined."""
Form = Callable[[Array, Array], Weighted]
"""(prediction, target) as a metric's function takes them → its weighted form."""


def weighted(metric: Metric, form: Form | None, output: Array, target: Array) -> Weighted:
    """The weighted form of a metric on given rows.

    Args:
        form: from `FORMS`; None computes the metric once per resample, which is slow and always right.
        output: (N, outputs) predictions or logits, as kept; target: (N,) labels or class numbers.
    """
    if output.shape[1] == 1:
        output, target = output[:, 0].astype(np.float32), target.astype(np.float32)
    keep = metric.rows(target)
    value = (form or partial(_repeated, metric))(output[keep], target[keep])
    if keep.all():
        return lambda weights: value(np.asarray(weights, dtype=np.float64))
    return lambda weights: value(np.asarray(weights, dtype=np.float64)[:, keep])


def _repeated(metric: Metric, prediction: Array, target: Array) -> Weighted:
    def value(weights: Array) -> Array:
        found = []
        for row in weights:
            drawn = np.repeat(np.arange(len(target)), row.astype(np.int64))
            measured = metric.function(prediction[drawn], target[drawn]) if len(drawn) else None
            found.append(np.nan if measured is None else measured)
        return np.asarray(found)

    return value


def _share(part: Array, whole: Array) -> Array:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _mean(row_value: Callable[[Array, Array], Array], prediction: Array, target: Array) -> Weighted:
    values = row_value(prediction, target).astype(np.float64)
    return lambda weights: _share(weights @ values, weights.sum(axis=1))


def _square(prediction: Array, target: Array) -> Array:
    return (prediction.astype(np.float64) - target) ** 2


def _absolute(prediction: Array, target: Array) -> Array:
    return np.abs(prediction.astype(np.float64) - target)


def _equal(prediction: Array, target: Array) -> Array:
    return prediction == target


def _centred(values: Array) -> Array:
    """Zero mean; exact zeros where all values are equal."""
    wide = values.astype(np.float64)
    return wide - wide.mean() if len(wide) and np.ptp(wide) > 0 else np.zeros_like(wide)


def _variance(weights: Array, values: Array, total: Array) -> Array:
    """(R,) weighted variance of centred values, exactly 0 where rounding is all that is left of it."""
    variance = _share(weights @ values**2, total) - _share(weights @ values, total) ** 2
    return np.where(variance > 1e-12 * float(np.mean(values**2) if len(values) else 0.0), variance, 0.0)


def _corr(prediction: Array, target: Array) -> Weighted:
    p, y = _centred(prediction), _centred(target)

    def value(weights: Array) -> Array:
        total = weights.sum(axis=1)
        shared = _share(weights @ (p * y), total) - _share(weights @ p, total) * _share(weights @ y, total)
        return _share(shared, np.sqrt(_variance(weights, p, total) * _variance(weights, y, total)))

    return value


def _r2(prediction: Array, target: Array) -> Weighted:
    error, y = _square(prediction, target), _centred(target)

    def value(weights: Array) -> Array:
        total = weights.sum(axis=1)
        return 1 - _share(_share(weights @ error, total), _variance(weights, y, total))

    return value


def _counts(weights: Array, prediction: Array, target: Array) -> tuple[Array, Array, Array]:
    """(R, C) weight of hits, of rows of each true class, and of rows given each class."""
    classes = np.unique(np.concatenate([prediction, target]))
    true, given = target[:, None] == classes, prediction[:, None] == classes
    return weights @ (true & given).astype(float), weights @ true.astype(float), weights @ given.astype(float)


def _f1(prediction: Array, target: Array, *, macro: bool = False) -> Weighted:
    def value(weights: Array) -> Array:
        hits, true, given = _counts(weights, prediction, target)
        occurs = true + given > 0
        f1 = np.where(occurs, 2 * hits / np.where(occurs, true + given, 1), 0.0)
        share = occurs if macro else true
        return _share((share * f1).sum(axis=1), share.sum(axis=1).astype(float))

    return value


def _worst_recall(prediction: Array, target: Array) -> Weighted:
    def value(weights: Array) -> Array:
        hits, true, _ = _counts(weights, prediction, target)
        recall = np.where(true > 0, hits / np.where(true > 0, true, 1), np.inf).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(recall), recall, np.nan)

    return value


def _blocks(weights: Array, score: Array) -> tuple[Array, Array]:
    """Columns in ascending order of the score, and the place where each block of equal scores begins."""
    order = np.argsort(score, kind="stable")
    return order, np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0)


def _auroc(logits: Array, target: Array) -> Weighted:
    score = logits[:, 1].astype(np.float64) - logits[:, 0]

    def value(weights: Array) -> Array:
        if not len(score):
            return np.full(len(weights), np.nan)
        order, begins = _blocks(weights, score)
        one = np.add.reduceat((weights * (target == 1))[:, order], begins, axis=1)
        zero = np.add.reduceat((weights * (target == 0))[:, order], begins, axis=1)
        below = np.cumsum(zero, axis=1) - zero
        return _share((one * (below + zero / 2)).sum(axis=1), one.sum(axis=1) * zero.sum(axis=1))

    return value


def _ece(logits: Array, target: Array) -> Weighted:
    share = probabilities(logits)
    gap = share.max(axis=1) - (share.argmax(axis=1) == target)
    inside = confidence_bins(share.max(axis=1))[:, None] == np.arange(BINS)
    return lambda weights: _share(np.abs(weights @ (gap[:, None] * inside)).sum(axis=1), weights.sum(axis=1))


def _aurc(logits: Array, target: Array) -> Weighted:
    share = probabilities(logits)
    confidence, wrong = share.max(axis=1), share.argmax(axis=1) != target

    def value(weights: Array) -> Array:
        if not len(wrong):
            return np.full(len(weights), np.nan)
        order, begins = _blocks(weights, -confidence)
        size = np.add.reduceat(weights[:, order], begins, axis=1)
        errors = np.add.reduceat((weights * wrong)[:, order], begins, axis=1)
        before, errors_before = np.cumsum(size, axis=1) - size, np.cumsum(errors, axis=1) - errors
        rate = errors / np.where(size > 0, size, 1)
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(weights.sum(axis=1).max(initial=0)) + 1))])
        spans = harmonic[(before + size).astype(int)] - harmonic[before.astype(int)]
        # within a block of equal confidence, row k of the ranking has risk rate + (errors_before − before·rate) / k
        total = (size * rate + (errors_before - before * rate) * spans).sum(axis=1)
        return _share(total, weights.sum(axis=1))

    return value


def _of(classes: Callable[[Array], Array], form: Form) -> Form:
    """A form on what `classes` makes of both sides."""
    return lambda prediction, target: form(classes(prediction), classes(target))


def _chosen(form: Form) -> Form:
    return lambda logits, target: form(logits.argmax(axis=1), target)


_CLIP = partial(np.clip, a_min=-1.0, a_max=1.0)
_MSE, _MAE, _ACCURACY = partial(_mean, _square), partial(_mean, _absolute), partial(_mean, _equal)
_POLARITY, _THREE, _FIVE = (partial(metrics.bins, edges) for edges in ((0.0,), (-0.1, 0.1), (-0.7, -0.1, 0.1, 0.7)))
_SIMS: Mapping[str, Form] = {
    "mae": _of(_CLIP, _MAE),
    "corr": _of(_CLIP, _corr),
    "acc-2": _of(_CLIP, _of(_POLARITY, _ACCURACY)),
    "f1": _of(_CLIP, _of(_POLARITY, _f1)),
    "acc-3": _of(_CLIP, _of(_THREE, _ACCURACY)),
    "acc-5": _of(_CLIP, _of(_FIVE, _ACCURACY)),
    "acc-2-weak": _of(_CLIP, _of(_POLARITY, _ACCURACY)),
    "r2": _of(_CLIP, _r2),
}
FORMS: Mapping[str, Mapping[str, Form]] = {
    "regression": {"mse": _MSE, "mae": _MAE, "corr": _corr, "r2": _r2},
    "mmsa-regression": {
        "mae": _MAE,
        "corr": _corr,
        "acc-7": _of(partial(metrics.nearest, 3), _ACCURACY),
        "acc-5": _of(partial(metrics.nearest, 2), _ACCURACY),
        "acc-2-has0": _of(metrics.non_negative, _ACCURACY),
        "f1-has0": _of(metrics.non_negative, _f1),
        "acc-2-non0": _of(metrics.positive, _ACCURACY),
        "f1-non0": _of(metrics.positive, _f1),
    },
    "mag-nonzero": {
        "mae": _MAE,
        "corr": _corr,
        "acc-2": _of(metrics.non_negative, _ACCURACY),
        "f1": _of(metrics.non_negative, _f1),
        "acc-7": _of(partial(metrics.nearest, 3), _ACCURACY),
    },
    "sims": _SIMS,
    "sims-v2": _SIMS,
    "classification": {
        "accuracy": _chosen(_ACCURACY),
        "weighted-f1": _chosen(_f1),
        "macro-f1": _chosen(partial(_f1, macro=True)),
        "worst-class-recall": _chosen(_worst_recall),
        "auroc": _auroc,
        "ece": _ece,
        "brier": partial(_mean, row_brier),
        "aurc": _aurc,
    },
}
"""Protocol → metric → form. A metric that is not here is computed resample by resample."""
