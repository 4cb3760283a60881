"""Rows of similar length together, so that a costly model reads few steps of padding."""

from __future__ import annotations

import torch
from torch import Tensor

CPU_ROWS = 8
"""Rows of a group on a CPU, where a step of padding costs as much as any other."""


def length_groups(mask: Tensor, size: int) -> list[tuple[Tensor, int]]:
    """Split a batch into groups of at most `size` rows, the shortest first.

    Args:
        mask: (B, T) bool, which steps exist.
        size: rows of a group; the last one may have fewer.

    Returns:
        for each group its row numbers, and the steps up to the last one that exists in any of its rows, at least 1.
    """
    steps = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths = (mask * steps).amax(dim=1).clamp(min=1)
    order = lengths.argsort(stable=True)
    return [(rows, int(lengths[rows[-1]])) for rows in order.split(size) if len(rows)]
