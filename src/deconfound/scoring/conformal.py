"""Split conformal prediction: intervals and sets that hold the label of a new row with a stated probability.

The probability is over rows like the validation rows, of which it needs no model. Under a shift it does not hold: an
evaluation measures what is left of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deconfound.errors import DataError
from deconfound.scoring.calibration import checked_probabilities, probabilities
from deconfound.scoring.weights import Array


@dataclass(frozen=True)
class Conformal:
    """Thresholds of the scores of wrongness.

    Args:
        level: the probability asked for, in (0, 1).
        threshold: largest score that a region accepts, over all validation rows.
        by_group: group → its own threshold (Mondrian); groups with too few validation rows are not there and have the
            common one.
    """

    level: float
    threshold: float
    by_group: Mapping[str, float] = field(default_factory=dict[str, float])

    def of(self, groups: Sequence[str] | None, count: int) -> Array:
        """(N,) thresholds of N rows.

        Args:
            groups: N groups of the rows; None for the common threshold.
            count: N.
        """
        if groups is None:
            return np.full(count, self.threshold)
        return np.array([self.by_group.get(group, self.threshold) for group in groups], dtype=np.float64)


def conformal_threshold(scores: Array, level: float) -> float:
    """The ⌈(N + 1) · level⌉-th smallest of N scores, infinite where there are fewer.

    A new score that is exchangeable with them is not larger with a probability of at least `level`, and of at most
    `level` + 1 / (N + 1) if no two scores are equal. Source: Vovk et al., Algorithmic Learning in a Random World, 2005.
    """
    rank = math.ceil(round((len(scores) + 1) * level, 9))
    return math.inf if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


def fewest_rows(level: float) -> int:
    """The number of rows from which a threshold is finite."""
    return math.ceil(round(level / (1 - level), 9))


def fit_conformal(scores: Array, level: float, groups: Sequence[str] | None = None) -> Conformal:
    """Thresholds from validation rows.

    Args:
        scores: (N,) of wrongness, of `interval_scores` or `set_scores`.
        level: in (0, 1).
        groups: N groups of the rows, for thresholds of their own.

    Raises:
        DataError: the level is out of range, or there are too few rows for it.
    """
    if not 0 < level < 1:
        raise DataError(f"a level of {level:g} is not between 0 and 1; give one such as 0.9")
    threshold = conformal_threshold(scores, level)
    if math.isinf(threshold):
        raise DataError(
            f"a level of {level:g} needs {fewest_rows(level)} validation rows, there are {len(scores)}; ask for a lower one"
        )
    own: dict[str, float] = {}
    if groups is not None:
        names = np.asarray(groups, dtype=object)
        own = {group: conformal_threshold(scores[names == group], level) for group in dict.fromkeys(groups)}
    return Conformal(level, threshold, {group: value for group, value in own.items() if math.isfinite(value)})


def interval_scores(output: Array, target: Array) -> Array:
    """(N,) absolute errors of (N, 1) predictions, in target units."""
    return np.abs(np.asarray(output, dtype=np.float64)[:, 0] - target)


def intervals(output: Array, thresholds: Array) -> tuple[Array, Array]:
    """(N,) lower and upper ends around (N, 1) predictions: all labels whose score is within the (N,) thresholds."""
    centre = np.asarray(output, dtype=np.float64)[:, 0]
    return centre - thresholds, centre + thresholds


def set_scores(logits: Array, target: Array) -> Array:
    """(N,) 1 − p(true class) of (N, C) logits (Sadinle et al., Least Ambiguous Set-Valued Classifiers, JASA 2019).

    Raises:
        DataError: as `scoring.calibration.checked_probabilities`.
    """
    return 1 - checked_probabilities(logits, target)[np.arange(len(target)), np.asarray(target)]


def prediction_sets(logits: Array, thresholds: Array) -> Array:
    """(N, C) bool: the classes whose score is within the (N,) thresholds; no class where none is probable enough."""
    return 1 - probabilities(logits) <= thresholds[:, None]
