"""Rows that are nearly equal in one modality, such as an image that was saved twice.

Two rows are alike if their standardised values differ by at most `NEAR` of the length of the longer. Candidates share the
signs of 24 random projections in one of six tables, so 100,000 rows cost seconds; a pair at the limit is missed with a
probability below .002, closer ones less. Modalities that vary in few directions are left out, since their rows are alike by
chance.

Source: Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.findings.candidate_pairs import candidate_pairs
from deconfound.data.findings.equal_rows import row_digests
from deconfound.data.findings.near_rows import near_lines
from deconfound.data.signal import Signal

NEAR = 0.05
_TABLES, _BITS, _SKETCH = 6, 24, 32
_MOST_VALUES = 512  # of a row, evenly spaced, so that images cost no more than vectors
_SAMPLE = 4096
_CHUNK = 1 << 14


def find(dataset: Dataset) -> list[str]:
    """One line per modality and pair of splits; rows that are equal in all modalities are left to `equal_rows`."""
    if "train" not in dataset.splits:
        return []
    lines = []
    for name, signal in dataset.signals.items():
        if not signal.values.is_floating_point():
            continue
        rows = torch.nonzero(signal.present).flatten().numpy()
        values = standardised(signal, dataset.splits["train"])[rows]
        pairs = rows[near_pairs(values)]
        lines += near_lines(dataset, _differing(dataset, pairs), name)
    return lines


def near_pairs(values: np.ndarray) -> np.ndarray:
    """Pairs of alike rows.

    Args:
        values: (N, D) float32, standardised.

    Returns:
        (P, 2) int64 row numbers, the lower one first; none where the rows are alike by chance.
    """
    if len(values) < 2 or directions(values) < fewest_directions(len(values)):
        return np.empty((0, 2), dtype=np.int64)
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(values.shape[1], _TABLES * _BITS, generator=generator).numpy()
    powers = 2 ** np.arange(_BITS, dtype=np.int64)
    keys = np.empty((len(values), _TABLES), dtype=np.int64)
    order = np.empty((len(values), _TABLES), dtype=np.float32)
    sketch = np.empty((len(values), _SKETCH), dtype=np.float32)
    for start in range(0, len(values), _CHUNK):
        projected = values[start : start + _CHUNK] @ planes
        sketch[start : start + _CHUNK] = projected[:, :_SKETCH] / math.sqrt(_SKETCH)
        by_table = projected.reshape(-1, _TABLES, _BITS)
        keys[start : start + _CHUNK] = (by_table > 0) @ powers
        order[start : start + _CHUNK] = by_table.sum(axis=2)
    size = np.linalg.norm(values, axis=1)
    pairs = candidate_pairs(keys, order)
    pairs = pairs[_closer(sketch, size, pairs, 2 * NEAR)]  # lengths of projections differ from those of rows by less
    return pairs[_closer(values, size, pairs, NEAR)]


def directions(values: np.ndarray) -> float:
    """Number of directions that rows vary in: (Σ λ)² / Σ λ² of the eigenvalues λ of the covariance of some rows."""
    some = values[:: max(1, len(values) // _SAMPLE)].astype(np.float64)
    centred = some - some.mean(axis=0)
    covariance = centred.T @ centred
    total = float((covariance**2).sum())
    return float(np.trace(covariance)) ** 2 / total if total > 0 else 0.0


def fewest_directions(rows: int) -> float:
    """Directions d in which fewer than one in 100 datasets has two of N independent rows alike: N² / 2 · NEARᵈ = .01."""
    return math.log(50 * rows**2) / math.log(1 / NEAR)


def standardised(signal: Signal, train: range) -> np.ndarray:
    """(N, D) float32 values of each row in standard deviations of train, without those that do not vary there; D ≤ 512."""
    flat = signal.values.reshape(len(signal), -1)
    columns = evenly_spaced(range(flat.shape[1]), _MOST_VALUES)
    values = flat[:, columns].float()
    part = values[train.start : train.stop]
    mean, sd = part.mean(dim=0), part.std(dim=0, correction=0)
    varying = sd > 1e-6 * mean.abs().clamp(min=1)
    return ((values - mean) / sd.clamp(min=1e-30))[:, varying].numpy()


def _closer(values: np.ndarray, size: np.ndarray, pairs: np.ndarray, most: float) -> np.ndarray:
    """(P,) bool pairs whose distance is at most a share of the longer of two rows, of the lengths `size`."""
    close = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _CHUNK):
        first, second = pairs[start : start + _CHUNK].T
        distance = np.linalg.norm(values[first] - values[second], axis=1)
        close[start : start + _CHUNK] = distance <= most * np.maximum(size[first], size[second])
    return close


def _differing(dataset: Dataset, pairs: np.ndarray) -> np.ndarray:
    """The pairs that are not equal in all modalities."""
    rows = sorted({int(row) for row in pairs.flatten()})
    digest = dict(zip(rows, row_digests(dataset, rows), strict=True))
    return pairs[[digest[int(a)] != digest[int(b)] for a, b in pairs]] if len(pairs) else pairs
