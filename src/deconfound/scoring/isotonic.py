"""Isotonic calibration: the probability of each class becomes a rising step function of what the model says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from deconfound.scoring.calibration import checked_probabilities, probabilities
from deconfound.scoring.weights import Array


@dataclass(frozen=True, eq=False)
class IsotonicMap:
    """One rising function for each class, linear between its knots and constant beyond them.

    Args:
        knots: for each class (K,) probabilities that the model gives, and (K,) probabilities that they become; of two
            classes the second alone, the first is what is left.
        floor: smallest probability, so that logarithms are finite.
    """

    knots: tuple[tuple[Array, Array], ...]
    floor: float

    def __call__(self, logits: Array) -> Array:
        """(N, C) logits → (N, C) logarithms of calibrated probabilities; those of all classes sum to 1."""
        share = probabilities(logits)
        if len(self.knots) == 1:
            second = np.interp(share[:, 1], *self.knots[0])
            mapped = np.stack([1 - second, second], axis=1)
        else:
            mapped = np.stack([np.interp(share[:, c], *knots) for c, knots in enumerate(self.knots)], axis=1)
        mapped = np.maximum(mapped, self.floor)
        return np.log(mapped / mapped.sum(axis=1, keepdims=True))


def fit_isotonic(logits: Array, target: Array) -> IsotonicMap:
    """Least-squares isotonic regression of each class on the model's probability of it, and a common scale to sum 1.

    Source: Zadrozny & Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates, KDD 2002. It
    may change the predicted class, and needs about a thousand rows, else temperature scaling is better.

    Args:
        logits: (N, C).
        target: (N,) class numbers in [0, C).

    Returns:
        its floor is 1 / (N + 2): a probability that N rows cannot tell from 0.

    Raises:
        DataError: as `scoring.calibration.checked_probabilities`.
    """
    share = checked_probabilities(logits, target)
    classes = [1] if share.shape[1] == 2 else range(share.shape[1])
    knots = []
    for number in classes:
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        model.fit(share[:, number], (np.asarray(target) == number).astype(np.float64))
        knots.append((model.X_thresholds_, model.y_thresholds_))
    return IsotonicMap(tuple(knots), 1 / (len(share) + 2))
