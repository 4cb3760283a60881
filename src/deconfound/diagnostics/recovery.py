"""How much of known factors each part of a representation holds: R² on rows that the probe was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.diagnostics.maps import kernel_map, linear_map
from deconfound.errors import DataError
from deconfound.metrics.r2 import R2

MOST_ROWS = 4000
"""Most rows that are used, drawn by the seed; more rows cost time and change little."""
FEWEST_ROWS = 20
ALPHAS = tuple(np.logspace(-4, 3, 15))
"""Ridge penalties; the best by leave-one-out on the fitted half is taken."""


@dataclass(frozen=True)
class RecoveryScore:
    """R² of one block of factors from one part, mean over the block's dimensions; at most 1, below 0 for a bad probe.

    Args:
        linear: of ridge regression; None where too few rows or a constant factor leave it undefined.
        kernel: of Gaussian kernel ridge regression; None also where it was not wanted.
        rows: held-out rows that were scored.
    """

    linear: float | None
    kernel: float | None
    rows: int


def recovery(
    parts: Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray], *, seed: int = 0, kernel: bool = True
) -> dict[tuple[str, str], RecoveryScore]:
    """R² of every factor block from every part: fitted on a random half of the rows, scored on the other.

    Where the factors depend on each other, as causes and shortcuts do through the label, a part that holds one of them
    predicts the other too; rows in which they are independent (`test-zero` of the synthetic data) separate the two.

    Args:
        parts: name → (N, D) such as {"inv": z_inv, "spu": z_spu}; D may differ.
        factors: name → (N, d) such as {"C": c, "S": s}, or (N,).
        seed: of the halves and of the kernel's landmarks.
        kernel: also the kernel probe, which costs most of the time.

    Returns:
        {(part, factor): RecoveryScore}.

    Raises:
        DataError: the arrays do not have the same number of rows, or hold a value that is not finite.
    """
    arrays = {**{f"part {n!r}": v for n, v in parts.items()}, **{f"factor {n!r}": v for n, v in factors.items()}}
    count = _rows(arrays)
    if count < FEWEST_ROWS or not factors:
        return {(part, factor): RecoveryScore(None, None, 0) for part in parts for factor in factors}
    order = np.random.default_rng(seed).permutation(count)[:MOST_ROWS]
    half = len(order) // 2
    fit, held = order[:half], order[half:]
    blocks = {name: _matrix(values) for name, values in factors.items()}
    targets = np.concatenate(list(blocks.values()), axis=1)
    scores = {}
    for part, values in parts.items():
        rows = _matrix(values)
        linear = _r2(linear_map(rows[fit])(rows), targets, fit, held)
        curved = _r2(kernel_map(rows[fit], seed)(rows), targets, fit, held) if kernel else None
        start = 0
        for factor, block in blocks.items():
            cut = slice(start, start + block.shape[1])
            scores[part, factor] = RecoveryScore(
                _mean(linear[cut]), None if curved is None else _mean(curved[cut]), len(held)
            )
            start = cut.stop
    return scores


def _r2(x: np.ndarray, targets: np.ndarray, fit: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(d,) R² per column of the targets, NaN for a column that is constant."""
    from sklearn.linear_model import RidgeCV

    y = linear_map(targets[fit])(targets)
    model = RidgeCV(alphas=ALPHAS, alpha_per_target=True).fit(x[fit], y[fit])
    predicted = model.predict(x[held]).reshape(len(held), -1)
    scores = [R2().value(*columns) for columns in zip(predicted.T, y[held].T, strict=True)]
    return np.array([np.nan if score is None else score for score in scores])


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if np.isfinite(values).all() else None


def _matrix(values: np.ndarray) -> np.ndarray:
    """(N, D) float64."""
    array = np.asarray(values, dtype=np.float64)
    return array.reshape(len(array), -1)


def _rows(arrays: Mapping[str, np.ndarray]) -> int:
    sizes = {name: len(values) for name, values in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(f"recovery compares the same rows; got {', '.join(f'{k} of {n}' for k, n in sizes.items())}")
    wrong = [name for name, values in arrays.items() if not np.isfinite(_matrix(values)).all()]
    if wrong:
        raise DataError(f"{wrong[0]} holds NaN or infinite values; the training has diverged or rows must be left out")
    return next(iter(sizes.values()), 0)
