"""Another prior for a classifier: what it would say if the classes had other shares."""

from __future__ import annotations

import numpy as np

from deconfound.scoring.weights import Array


def shift_prior(logits: Array, source: Array, target: Array) -> Array:
    """Logits of p(y | x) · target(y) / source(y), the posterior where only the shares of the classes change.

    Source: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002. It is right where the
    rows of each class look as they did, and costs where they do not.

    Args:
        logits: (..., C).
        source: (C,) positive shares that the classifier has learnt.
        target: (C,) non-negative shares that hold where it predicts; a class with 0 gets the lowest finite logits.

    Returns:
        (..., C) float64.
    """
    source, target = (np.asarray(share, dtype=np.float64) for share in (source, target))
    smallest = np.finfo(np.float32).tiny
    return np.asarray(logits, dtype=np.float64) + np.log(np.maximum(target, smallest)) - np.log(source)


def smoothed_shares(counts: Array) -> Array:
    """(C,) shares of (C,) counts with half a row more of each class, so that none is 0."""
    raised = np.asarray(counts, dtype=np.float64) + 0.5
    return raised / raised.sum()
