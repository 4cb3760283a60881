"""Classes made of real labels and predictions, as the sentiment protocols define them. All functions keep (N,)."""

from __future__ import annotations

import numpy as np

from deconfound.scoring.weights import Array


def nearest(limit: int, values: Array) -> Array:
    """Whole numbers: values clipped to [-limit, limit] and rounded half to even."""
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


def clipped(values: Array) -> Array:
    """Values clipped to [-1, 1]."""
    return np.clip(values, -1.0, 1.0)


def clipped_bins(edges: tuple[float, ...], values: Array) -> Array:
    """`bins` of the values clipped to [-1, 1]."""
    return bins(edges, clipped(values))


def is_nonzero(target: Array) -> Array:
    """True where the label is not 0."""
    return target != 0


def is_weak(target: Array) -> Array:
    """True where the label lies in [-0.4, 0.4]."""
    return np.abs(target) <= np.float32(0.4)
