"""What becomes of values that are not finite: their feature is imputed, or their step or their row is masked.

By feature, the default, loses least. A feature that is not finite in more than `MOSTLY` of the training steps is left
out in all splits. A step of which more than half of the other features are not finite is masked. What remains is set to
the mean of the feature over the training steps. Predictions for new rows do the same with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Invalid = Literal["feature", "frame", "row"]

MOSTLY = 0.9
"""Share of the training steps from which on a feature is left out."""
WIDEST = 4096
"""Most features whose means are kept; the steps of wider modalities, such as images, are masked instead."""

_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Repair:
    """How values of one modality are made finite; JSON values only.

    Args:
        invalid: "feature", "frame" or "row": what a value that is not finite takes with it.
        width: W, the features of a step as they are read.
        dropped: features that are left out.
        means: W training means, 0 for a dropped feature; empty unless `invalid` is "feature".
        flagged: features followed, at the end of each step, by a 1 where they were not finite and a 0 elsewhere.
    """

    invalid: Invalid
    width: int
    dropped: tuple[int, ...] = ()
    means: tuple[float, ...] = ()
    flagged: tuple[int, ...] = ()

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> Repair:
        """The repair that `to_json` wrote."""
        sequences = {key: tuple(noted[key]) for key in ("dropped", "means", "flagged")}
        return cls(noted["invalid"], noted["width"], **sequences)

    def to_json(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @property
    def kept(self) -> list[int]:
        """The features that are not left out."""
        return [feature for feature in range(self.width) if feature not in set(self.dropped)]

    @property
    def features(self) -> int:
        """Features of a step after the repair."""
        return self.width - len(self.dropped) + len(self.flagged)

    def undone(self, values: np.ndarray) -> np.ndarray:
        """The values before the repair as far as they are known: NaN where a feature was left out or flagged.

        Args:
            values: (N, T, W − dropped + flagged), as `filled` returns them.

        Returns:
            (N, T, W) float32.
        """
        kept = self.kept
        read = np.full((*values.shape[:2], self.width), np.nan, dtype=np.float32)
        read[..., kept] = values[..., : len(kept)]
        if self.flagged:
            part = read[..., self.flagged]
            part[values[..., len(kept) :] > 0] = np.nan
            read[..., self.flagged] = part
        return read

    def masked(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The steps that remain.

        Args:
            values: (N, T, W).
            inside: (N, T) bool: the steps that exist.

        Returns:
            (N, T) bool.
        """
        mask = inside.copy()
        for rows, bad in _suspicious(values, inside):
            if self.invalid == "feature":
                mask[rows] &= bad[..., self.kept].sum(axis=2) * 2 <= len(self.kept)
            elif self.invalid == "frame":
                mask[rows] &= ~bad.any(axis=2)
            else:
                mask[rows] &= ~(bad.any(axis=2) & inside[rows]).any(axis=1, keepdims=True)
        return mask

    def filled(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The finite values, 0 where the mask is False; overwrites `values`.

        Args:
            values: (N, T, W) float32.
            mask: (N, T) bool, as `masked` returns it.

        Returns:
            (N, T, W − dropped + flagged) float32.
        """
        flags = np.zeros((*mask.shape, len(self.flagged)), dtype=np.float32)
        if self.means:
            means = np.array(self.means, dtype=np.float32)
            for rows, bad in _suspicious(values, mask):
                values[rows] = np.where(bad, means, values[rows])
                flags[rows] = bad[..., self.flagged] & mask[rows][..., None]
        for rows in _chunks(values):
            values[rows][~mask[rows]] = 0
        if self.dropped:
            values = values[..., self.kept]
        return np.concatenate([values, flags], axis=2) if self.flagged else values


@dataclass(frozen=True, eq=False)
class Fitting:
    """How a repair is learnt.

    Args:
        train: (N,) bool: the training rows.
        invalid: as in `Repair`.
        indicator: flag the features that are not finite in a training step.
    """

    train: np.ndarray
    invalid: Invalid = "feature"
    indicator: bool = False


def fit_repair(values: np.ndarray, inside: np.ndarray, fitting: Fitting) -> tuple[Repair, dict[str, dict[str, float]]]:
    """Learn a repair from the training rows, and count what it meets in all rows.

    Args:
        values: (N, T, W) float32.
        inside: (N, T) bool: the steps that exist.

    Returns:
        The repair, and "dropped_features" (feature → share of training steps) and "imputed_features" (feature → share
        of the steps of all rows), both empty where nothing is not finite.
    """
    width, train, invalid = values.shape[2], fitting.train, fitting.invalid
    if invalid != "feature" or width > WIDEST:
        return Repair("frame" if invalid == "feature" else invalid, width), {}
    bad_train, steps = _bad_steps(values, inside & train[:, None])
    dropped = tuple(np.flatnonzero(bad_train > MOSTLY * steps).tolist()) if steps else ()
    mask = Repair("feature", width, dropped).masked(values, inside)
    means = _means(values, mask & train[:, None])
    means[list(dropped)] = 0
    counts, existing = _bad_steps(values, mask)
    counts[list(dropped)] = 0
    flagged = tuple(np.flatnonzero((bad_train > 0) & (counts > 0)).tolist()) if fitting.indicator else ()
    notes: dict[str, dict[str, float]] = {}
    if dropped:
        notes["dropped_features"] = {str(f): round(float(bad_train[f]) / steps, 4) for f in dropped}
    if counts.any():
        notes["imputed_features"] = {str(f): float(f"{counts[f] / existing:.4g}") for f in np.flatnonzero(counts)}
    return Repair("feature", width, dropped, tuple(float(f"{mean:.7g}") for mean in means), flagged), notes


def _bad_steps(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(W,) steps in which each feature is not finite, and the number of steps; steps without a finite value are no steps."""
    counts, steps = np.zeros(values.shape[2], dtype=np.int64), int(mask.sum())
    for rows, bad in _suspicious(values, mask):
        there = mask[rows] & ~bad.all(axis=2)
        steps -= int((mask[rows] & bad.all(axis=2)).sum())
        counts += (bad & there[..., None]).sum(axis=(0, 1))
    return counts, steps


def _means(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(W,) float64 mean over the finite values of the steps; 0 without one."""
    total, count = np.zeros(values.shape[2]), np.zeros(values.shape[2], dtype=np.int64)
    for rows in _chunks(values):
        steps = values[rows][mask[rows]]
        if is_finite(steps):
            total += steps.sum(axis=0, dtype=np.float64)
            count += len(steps)
            continue
        finite = np.isfinite(steps)
        total += np.where(finite, steps, 0).sum(axis=0, dtype=np.float64)
        count += finite.sum(axis=0)
    return total / np.maximum(count, 1)


def _suspicious(values: np.ndarray, mask: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of rows with a value that is not finite in an existing step, and (n, T, W) bool, True for such values."""
    for rows in _chunks(values):
        if is_finite(values[rows]):
            continue
        bad = ~np.isfinite(values[rows])
        if (bad.any(axis=2) & mask[rows]).any():
            yield rows, bad


def is_finite(values: np.ndarray) -> bool:
    """True if the sum is finite, and so is every value; False tells nothing, since a sum of finite values can overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def _chunks(values: np.ndarray) -> Iterator[slice]:
    """Slices of rows of about 16 MB of float32 each."""
    size = max(1, _CHUNK_BYTES // max(1, 4 * values.shape[1] * values.shape[2]))
    for start in range(0, len(values), size):
        yield slice(start, start + size)
