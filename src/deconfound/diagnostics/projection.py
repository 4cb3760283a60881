"""A part in two dimensions: principal components, which need no seed and invent no clusters."""

from __future__ import annotations

import numpy as np

from deconfound.diagnostics.maps import linear_map
from deconfound.diagnostics.result import Picture
from deconfound.diagnostics.rows import ALL, Observed

MOST_POINTS = 400


def principal(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """(N, D) → (N, 2) scores on the first two components of the standardised columns, and their shares of variance.

    The sign of a component is that of its largest loading; a missing second one is 0.
    """
    scaled = linear_map(values)(values)
    _, sizes, directions = np.linalg.svd(scaled, full_matrices=False)
    first = directions[:2]
    signs = np.sign(first[np.arange(len(first)), np.abs(first).argmax(axis=1)])
    scores = np.zeros((len(values), 2))
    scores[:, : len(first)] = scaled @ (first * signs[:, None]).T
    total = float(np.square(sizes).sum())
    shares = np.zeros(2)
    shares[: len(first)] = np.square(sizes[:2]) / total if total > 0 else 0.0
    return scores, (float(shares[0]), float(shares[1]))


def pictures(observed: Observed, classes: tuple[str, ...], seed: int) -> list[Picture]:
    """One picture for each part, of the same rows; empty with fewer than three rows.

    Args:
        classes: names of the classes; empty for a real label.
        seed: draws the rows where there are many.
    """
    of_parts = []
    for part in observed.parts:
        values, rows = observed.block(part, ALL)
        if len(rows) < 3:
            return []
        scores, explained = principal(values)
        shown = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_POINTS])
        target = observed.target[rows[shown]]
        of_parts.append(
            Picture(
                part,
                [round(value, 4) for value in scores[shown, 0].tolist()],
                [round(value, 4) for value in scores[shown, 1].tolist()],
                [classes[int(value)] for value in target] if classes else [round(float(v), 4) for v in target],
                [observed.environments[number] for number in observed.env[rows[shown]]],
                explained,
            )
        )
    return of_parts
