"""Minimal hashes of texts: two texts share one with a probability of the overlap of their pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

PIECE = 6
"""Bytes of a piece."""

_BYTES = 1 << 20


def minimal_hashes(texts: Sequence[bytes], count: int) -> np.ndarray:
    """The smallest hash of the pieces of each text, under several hashes.

    Args:
        texts: N texts of at least `PIECE` bytes.
        count: K, number of hashes.

    Returns:
        (N, K) uint64.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(1, 2**62, (2, count), generator=generator).numpy().astype(np.uint64)
    factors, terms = drawn[0] * np.uint64(2) + np.uint64(1), drawn[1]
    parts, start = [], 0
    while start < len(texts):
        stop, size = start, 0
        while stop < len(texts) and (stop == start or size + len(texts[stop]) <= _BYTES):
            size += len(texts[stop])
            stop += 1
        parts.append(_hashes(texts[start:stop], factors, terms))
        start = stop
    return np.concatenate(parts)


def pieces(text: bytes) -> frozenset[bytes]:
    """All stretches of `PIECE` bytes."""
    return frozenset(text[start : start + PIECE] for start in range(len(text) - PIECE + 1))


def _hashes(texts: Sequence[bytes], factors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    joined = np.frombuffer(b"".join(texts), dtype=np.uint8).astype(np.uint64)
    lengths = np.array([len(text) for text in texts])
    begins = np.cumsum(lengths) - lengths
    numbers = np.zeros(len(joined) - PIECE + 1, dtype=np.uint64)
    for place in range(PIECE):
        numbers |= joined[place : place + len(numbers)] << np.uint64(8 * place)
    inside = np.concatenate([np.arange(b, b + n - PIECE + 1) for b, n in zip(begins, lengths, strict=True)])
    numbers = numbers[inside]
    counts = lengths - PIECE + 1
    starts = np.cumsum(counts) - counts
    result = np.empty((len(texts), len(factors)), dtype=np.uint64)
    for column, (factor, term) in enumerate(zip(factors, terms, strict=True)):
        mixed = numbers * factor + term
        mixed ^= mixed >> np.uint64(32)
        result[:, column] = np.minimum.reduceat(mixed * factor, starts)
    return result
