"""Metrics and the named protocols that fix which rows enter each of them.

A value belongs to its protocol: two protocols may use one word ("acc-2") for different things. Values are shares and
target units, never percent, never rounded. `None` is the value of a metric that the rows do not define:

- no row at all (for instance no non-zero label): every metric;
- `corr`: constant predictions, constant labels, or fewer than two rows;
- `r2`: constant labels or fewer than two rows;
- `auroc`: labels of one class only.

Everything else is defined: a class that never occurs in the labels has no weight in a weighted F1 and no recall;
macro F1 runs over the classes that occur in labels or predictions; a .5 tie rounds to the even neighbour; two equal
logits mean the lower class number. Outputs that are not finite are an error, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from deconfound.errors import DataError, did_you_mean

Array = np.ndarray


class Score(NamedTuple):
    """A metric's value, None where it is undefined, and the number of rows that it is about."""

    value: float | None
    n: int


def _every(target: Array) -> Array:
    return np.ones(len(target), dtype=bool)


def _nonzero(target: Array) -> Array:
    return target != 0


def _weak(target: Array) -> Array:
    return np.abs(target) <= np.float32(0.4)


@dataclass(frozen=True)
class Metric:
    """One number from the predictions and labels of some rows.

    Args:
        function: (prediction, target) → value or None. Regression: both (R,) float32. Classification: (R, C) logits and
            (R,) class numbers.
        higher_is_better: False for errors.
        rows: (N,) target → (N,) bool, the rows that enter.
        classes: defined only for this number of classes; None for any.
    """

    function: Callable[[Array, Array], float | None]
    higher_is_better: bool = True
    rows: Callable[[Array], Array] = _every
    classes: int | None = None

    def __call__(self, prediction: Array, target: Array) -> Score:
        keep = self.rows(target)
        n = int(keep.sum())
        return Score(self.function(prediction[keep], target[keep]) if n else None, n)

    def better(self, a: float, b: float) -> bool:
        """True if the value `a` is better than `b`."""
        return a > b if self.higher_is_better else a < b


@dataclass(frozen=True)
class Protocol:
    """A named set of metrics.

    Args:
        kind: of the tasks that it judges.
        primary: the metric that a table shows first.
        source: where the definition comes from.
    """

    name: str
    kind: Literal["regression", "classification"]
    metrics: Mapping[str, Metric]
    primary: str
    source: str

    def score(self, output: Array, target: Array) -> dict[str, Score]:
        """All metrics of N rows.

        Args:
            output: (N, 1) predictions or (N, C) logits.
            target: (N,) labels or class numbers in [0, C).

        Returns:
            metric → `Score`; a metric for another number of classes is left out.

        Raises:
            DataError: shapes that do not fit, or an output or label that is not finite.
        """
        output, target = np.asarray(output), np.asarray(target)
        if output.ndim != 2 or target.shape != output.shape[:1] or (self.kind == "regression" and output.shape[1] != 1):
            raise DataError(
                f"{self.name} judges (N, {1 if self.kind == 'regression' else 'C'}) outputs against (N,) labels; got "
                f"{output.shape} and {target.shape}"
            )
        wrong = ~np.isfinite(output).all(axis=1) | ~np.isfinite(target)
        if wrong.any():
            raise DataError(
                f"{self.name}: {int(wrong.sum())} of {len(wrong)} rows hold NaN or infinity (the first is row "
                f"{int(wrong.argmax())}); a metric needs finite predictions and labels"
            )
        if self.kind == "regression":
            output, target = output[:, 0].astype(np.float32), target.astype(np.float32)
        width = output.shape[-1] if self.kind == "classification" else None
        return {
            name: metric(output, target) for name, metric in self.metrics.items() if metric.classes in (None, width)
        }


def mse(prediction: Array, target: Array) -> float:
    """Mean of (p − y)², in squared target units."""
    return float(np.mean((prediction.astype(np.float64) - target) ** 2))


def mae(prediction: Array, target: Array) -> float:
    """Mean of |p − y|, in target units."""
    return float(np.mean(np.abs(prediction.astype(np.float64) - target)))


def corr(prediction: Array, target: Array) -> float | None:
    """Pearson's r in [-1, 1]; None where either side is constant."""
    if len(target) < 2 or np.ptp(prediction) == 0 or np.ptp(target) == 0:
        return None
    from scipy.stats import pearsonr

    return float(np.asarray(pearsonr(prediction.astype(np.float64), target.astype(np.float64)))[0])


def r2(prediction: Array, target: Array) -> float | None:
    """1 − Σ(p − y)² / Σ(y − ȳ)², at most 1; None where the labels are constant."""
    if len(target) < 2 or np.ptp(target) == 0:
        return None
    from sklearn.metrics import r2_score

    return float(r2_score(target.astype(np.float64), prediction.astype(np.float64)))


def accuracy(prediction: Array, target: Array) -> float:
    """Share of equal (R,) class numbers."""
    return float(np.mean(prediction == target))


def weighted_f1(prediction: Array, target: Array) -> float:
    """Σ_c (n_c / n) F1_c over (R,) class numbers, n_c the rows whose true class is c."""
    from sklearn.metrics import f1_score

    return float(f1_score(target, prediction, average="weighted", zero_division=0.0))  # type: ignore[arg-type]


def macro_f1(prediction: Array, target: Array) -> float:
    """Mean of F1_c over the classes that occur in (R,) labels or predictions."""
    from sklearn.metrics import f1_score

    return float(f1_score(target, prediction, average="macro", zero_division=0.0))  # type: ignore[arg-type]


def worst_class_recall(prediction: Array, target: Array) -> float:
    """The smallest share of a class's rows that were found, over the classes that occur in the labels."""
    return float(min(np.mean(prediction[target == c] == c) for c in np.unique(target)))


def auroc(logits: Array, target: Array) -> float | None:
    """Chance that a row of class 1 has a larger l₁ − l₀ than a row of class 0, ties half; None for one-class labels."""
    if len(np.unique(target)) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, logits[:, 1].astype(np.float64) - logits[:, 0]))


def nearest(limit: int, values: Array) -> Array:
    """Clipped to [-limit, limit], rounded half to even."""
    return np.round(np.clip(values, -limit, limit)).astype(np.int64)


def non_negative(values: Array) -> Array:
    """1 from 0 on, else 0."""
    return (values >= 0).astype(np.int64)


def positive(values: Array) -> Array:
    """1 above 0, else 0."""
    return (values > 0).astype(np.int64)


def bins(edges: tuple[float, ...], values: Array) -> Array:
    """Number of the bin (…], closed on the right; edges in float32, so that a label written 0.1 meets the edge 0.1."""
    return np.searchsorted(np.asarray(edges, dtype=np.float32), values, side="left")


def _classed(
    judge: Callable[[Array, Array], float | None], classes: Callable[[Array], Array]
) -> Callable[[Array, Array], float | None]:
    """Judge classes made of both values."""
    return lambda prediction, target: judge(classes(prediction), classes(target))


def _clipped(judge: Callable[[Array, Array], float | None]) -> Callable[[Array, Array], float | None]:
    """Judge after clipping both to [-1, 1]."""
    return _classed(judge, partial(np.clip, a_min=-1.0, a_max=1.0))


def _chosen(judge: Callable[[Array, Array], float | None]) -> Callable[[Array, Array], float | None]:
    """Judge the class with the largest logit, the lower number in a tie."""
    return lambda logits, target: judge(logits.argmax(axis=1), target)


_POLARITY, _THREE, _FIVE = partial(bins, (0.0,)), partial(bins, (-0.1, 0.1)), partial(bins, (-0.7, -0.1, 0.1, 0.7))
_SIMS = {
    "mae": Metric(_clipped(mae), higher_is_better=False),
    "corr": Metric(_clipped(corr)),
    "acc-2": Metric(_clipped(_classed(accuracy, _POLARITY))),
    "f1": Metric(_clipped(_classed(weighted_f1, _POLARITY))),
    "acc-3": Metric(_clipped(_classed(accuracy, _THREE))),
    "acc-5": Metric(_clipped(_classed(accuracy, _FIVE))),
}
_MMSA = {
    "mae": Metric(mae, higher_is_better=False),
    "corr": Metric(corr),
    "acc-7": Metric(_classed(accuracy, partial(nearest, 3))),
    "acc-5": Metric(_classed(accuracy, partial(nearest, 2))),
    "acc-2-has0": Metric(_classed(accuracy, non_negative)),
    "f1-has0": Metric(_classed(weighted_f1, non_negative)),
    "acc-2-non0": Metric(_classed(accuracy, positive), rows=_nonzero),
    "f1-non0": Metric(_classed(weighted_f1, positive), rows=_nonzero),
}
_MAG = {
    "mae": Metric(mae, higher_is_better=False, rows=_nonzero),
    "corr": Metric(corr, rows=_nonzero),
    "acc-2": Metric(_classed(accuracy, non_negative), rows=_nonzero),
    "f1": Metric(_classed(weighted_f1, non_negative), rows=_nonzero),
    "acc-7": _MMSA["acc-7"],
}
_REGRESSION = {
    "mse": Metric(mse, higher_is_better=False),
    "mae": Metric(mae, higher_is_better=False),
    "corr": Metric(corr),
    "r2": Metric(r2),
}
_CLASSIFICATION = {
    "accuracy": Metric(_chosen(accuracy)),
    "weighted-f1": Metric(_chosen(weighted_f1)),
    "macro-f1": Metric(_chosen(macro_f1)),
    "worst-class-recall": Metric(_chosen(worst_class_recall)),
    "auroc": Metric(auroc, classes=2),
}
_SIMS_V2 = _SIMS | {
    "acc-2-weak": Metric(_clipped(_classed(accuracy, _POLARITY)), rows=_weak),
    "r2": Metric(_clipped(r2)),
}

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("regression", "regression", _REGRESSION, "mse", "standard definitions, all rows"),
        Protocol("mmsa-regression", "regression", _MMSA, "mae", "the MMSA tool; CMU-MOSI and CMU-MOSEI"),
        Protocol("mag-nonzero", "regression", _MAG, "mae", "MAG-BERT and its descendants; labels of 0 are left out"),
        Protocol("sims", "regression", _SIMS, "mae", "CH-SIMS; both sides clipped to [-1, 1]"),
        Protocol("sims-v2", "regression", _SIMS_V2, "mae", "CH-SIMS v2; weak labels lie in [-0.4, 0.4]"),
        Protocol("classification", "classification", _CLASSIFICATION, "accuracy", "standard definitions, all rows"),
    )
}


def protocol_of(name: str, kind: str) -> Protocol:
    """The protocol of a task.

    Raises:
        DataError: no protocol has the name, or it judges the other kind of task.
    """
    if name not in PROTOCOLS:
        raise DataError(f"there is no protocol {name!r}{did_you_mean(name, PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if protocol.kind != kind:
        fitting = ", ".join(other.name for other in PROTOCOLS.values() if other.kind == kind)
        raise DataError(f"the protocol {name!r} judges {protocol.kind}, the task is {kind}; use one of: {fitting}")
    return protocol
