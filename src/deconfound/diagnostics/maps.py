"""Features for probes: standardized columns, or a random map whose inner products are a Gaussian kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LANDMARKS = 500
"""Most training rows that span the kernel; with fewer training rows the map is the exact kernel."""

FeatureMap = Callable[[np.ndarray], np.ndarray]


def linear_map(train: np.ndarray) -> FeatureMap:
    """(N, D) training rows → a map that standardises columns by them; a constant column becomes 0."""
    mean, sd = train.mean(axis=0), train.std(axis=0)
    scale = np.where(sd > 1e-9 * np.maximum(1, np.abs(mean)), sd, np.inf)
    return lambda rows: (rows - mean) / scale


def kernel_map(train: np.ndarray, seed: int, landmarks: int = LANDMARKS) -> FeatureMap:
    """Nyström features of the kernel exp(−‖x − x'‖² / 4D) on standardised columns: independent ones are √(2D) apart.

    Args:
        train: (N, D) rows; up to `landmarks` of them, drawn by `seed`, span the features.

    Source: Williams and Seeger, NeurIPS 2000.
    """
    from sklearn.kernel_approximation import Nystroem

    scaled = linear_map(train)
    spread = Nystroem(gamma=0.25 / train.shape[1], n_components=min(landmarks, len(train)), random_state=seed)
    spread.fit(scaled(train))
    return lambda rows: spread.transform(scaled(rows))
