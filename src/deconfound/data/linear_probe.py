"""A linear probe, which measures how well one modality alone predicts the target."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.findings.imbalance import is_imbalanced
from deconfound.metrics.map import MAP
from deconfound.metrics.r2 import R2

if TYPE_CHECKING:
    from deconfound.data.signal import Signal

MOST_ROWS = 4096
"""Most training rows of a probe, evenly spaced; more rows cost time and change little."""
MOST_TOKENS = 1000
"""Most tokens that a probe counts: the most frequent ones of its training rows."""
MOST_FEATURES = 2048
"""Most features of a probe; wider modalities, such as images, are reduced to this many by a count sketch."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Candidate penalties per training row; the one that is best on every fifth group of train is used."""


@dataclass(frozen=True)
class Probe:
    """One modality's score on validation.

    Args:
        modality: modality name.
        metric: "r2" for regression, "accuracy" for classification, "balanced-accuracy" (mean recall of the classes) where
            the classes of train are imbalanced, "map" for multilabel.
        score: score on the validation rows.
        constant: score of the best constant of train: its mean, or its most frequent class.
        train: score on the training rows; far above `score` means overfitting.
        mae: mean absolute error in target units, regression only.
        corr: Pearson correlation, regression only; None if undefined.
        penalty: penalty per row, chosen inside train.
        rows: number of training rows used.
    """

    modality: str
    metric: str
    score: float
    constant: float
    train: float
    mae: float | None
    corr: float | None
    penalty: float
    rows: int


def probe(dataset: Dataset, modality: str) -> Probe:
    """Ridge or logistic regression on the mean over existing steps, standardised by train; absent rows are at its mean.

    The penalty is chosen inside train: models are fitted on four fifths of its environments (of its rows, if there are
    fewer than five) and scored on the rest. The validation rows are read once, at the end. Deterministic.
    """
    train = dataset.rows("train")
    rows = evenly_spaced(train, MOST_ROWS)
    valid = dataset.batch("valid")
    encode = pooling(dataset.signals[modality].select(rows))
    x, x_valid = encode(dataset.signals[modality].select(rows)), encode(valid.signals[modality])
    y, y_valid = dataset.target[rows].double().numpy(), valid.target.double().numpy()
    inner = _every_fifth(dataset.env[rows].numpy())
    classify = dataset.task.kind == "classification"
    balanced = classify and is_imbalanced(torch.bincount(dataset.target[rows]))
    labels = dataset.task.kind == "multilabel"
    score = _balanced_accuracy if balanced else _accuracy if classify else _mean_precision if labels else _r2
    fit = partial(_fit, classify=classify, balanced=balanced)
    candidates = (
        [(score(y[inner], fit(x[~inner], y[~inner], p)(x[inner])), -p) for p in PENALTIES] if inner.any() else []
    )
    penalty = -max(candidates)[1] if candidates else PENALTIES[-2]
    model = fit(x, y, penalty)
    predicted = model(x_valid)
    constant = np.bincount(y.astype(np.int64)).argmax() if classify else y.mean(axis=0)
    regression = not classify and not labels
    return Probe(
        modality,
        "balanced-accuracy" if balanced else "accuracy" if classify else "map" if labels else "r2",
        score(y_valid, predicted),
        score(y_valid, np.broadcast_to(np.asarray(constant, dtype=np.float64), y_valid.shape)),
        score(y, model(x)),
        float(np.abs(y_valid - predicted).mean()) if regression else None,
        _corr(y_valid, predicted) if regression else None,
        penalty,
        len(rows),
    )


def pooling(train: Signal) -> Callable[[Signal], np.ndarray]:
    """Signal → (B, D) float64, standardised by the training rows that have the modality; absent rows are 0."""
    kept = None if train.values.is_floating_point() else _frequent(train)

    def features(signal: Signal) -> tuple[np.ndarray, np.ndarray]:
        pooled = _means(signal) if kept is None else _counts(signal, kept)
        return pooled.numpy(), signal.present.numpy()

    pooled, present = features(train)
    present_rows = pooled[present] if present.any() else pooled
    mean, sd = present_rows.mean(axis=0), present_rows.std(axis=0)
    scale = np.where(sd > 1e-12 * np.maximum(1, np.abs(mean)), sd, 1)

    def encode(signal: Signal) -> np.ndarray:
        pooled, present = features(signal)
        return np.where(present[:, None], (pooled - mean) / scale, 0)

    return encode


def _means(signal: Signal) -> Tensor:
    """(B, D) mean over existing steps; features beyond `MOST_FEATURES` are summed with random signs (count sketch)."""
    width = signal.values[0, 0].numel()
    generator = torch.Generator().manual_seed(0)
    bucket = torch.randint(0, MOST_FEATURES, (width,), generator=generator)
    sign = torch.randint(0, 2, (width,), generator=generator).double() * 2 - 1
    pooled = torch.zeros(len(signal), min(width, MOST_FEATURES), dtype=torch.float64)
    for start in range(0, len(signal), 256):
        steps = signal.mask[start : start + 256].sum(dim=1).clamp(min=1)
        part = signal.values[start : start + 256].flatten(2).double().sum(dim=1) / steps[:, None]
        if width > MOST_FEATURES:
            pooled[start : start + 256].index_add_(1, bucket, part * sign)
        else:
            pooled[start : start + 256] = part
    return pooled


def _frequent(train: Signal) -> Tensor:
    """The most frequent tokens of the training rows."""
    tokens, counts = torch.unique(train.values[train.mask], return_counts=True)
    return tokens[counts.argsort(descending=True, stable=True)[:MOST_TOKENS]]


def _counts(signal: Signal, kept: Tensor) -> Tensor:
    """(B, len(kept)) share of each token among the existing steps."""
    steps = signal.mask.sum(dim=1).clamp(min=1).double()
    return torch.stack([((signal.values == token) & signal.mask).sum(dim=1) / steps for token in kept], dim=1)


def _every_fifth(env: np.ndarray) -> np.ndarray:
    """(B,) bool: rows of every fifth environment, or every fifth row if there are fewer than five environments."""
    distinct, code = np.unique(env, return_inverse=True)
    return (code if len(distinct) >= 5 else np.arange(len(env))) % 5 == 4


def _fit(
    x: np.ndarray, y: np.ndarray, penalty: float, classify: bool, balanced: bool
) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if not classify:
        return Ridge(alpha=penalty * len(x)).fit(x, y).predict
    if len(np.unique(y)) < 2:
        return lambda rows: np.full(len(rows), y[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return (
            LogisticRegression(C=1 / (penalty * len(x)), max_iter=200, class_weight="balanced" if balanced else None)
            .fit(x, y)
            .predict
        )


def _r2(y: np.ndarray, predicted: np.ndarray) -> float:
    """R², 0 for constant labels."""
    return R2().value(predicted, y) or 0.0


def _mean_precision(y: np.ndarray, predicted: np.ndarray) -> float:
    """Mean average precision, 0 where no row has a label."""
    return MAP().value(predicted, y) or 0.0


def _accuracy(y: np.ndarray, predicted: np.ndarray) -> float:
    return float((y == predicted).mean())


def _balanced_accuracy(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([(predicted[y == label] == label).mean() for label in np.unique(y)]))


def _corr(y: np.ndarray, predicted: np.ndarray) -> float | None:
    if np.ptp(y) == 0 or np.ptp(predicted) == 0:
        return None
    return float(np.corrcoef(y, predicted)[0, 1])
