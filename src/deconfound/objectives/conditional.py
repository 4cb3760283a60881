"""Distance between the representations of one label in different environments."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.invariance import Distance, invariance
from deconfound.objectives.rows import full_precision


@full_precision
def conditional_distance(values: Tensor, present: Tensor, env: Tensor, bins: Tensor, distance: Distance) -> Tensor:
    """Mean distance between the mean representations of one label in two environments.

    Environments that the data really have hold no row twice, so what should not move is the mean of a label instead of
    the view of a row.

    Args:
        values: (M, B, D).
        present: (M, B) bool; the other rows do not count.
        env, bins: (B,) environment and label of each row.
        distance: as in `invariance`.

    Returns:
        (M,) mean over labels and pairs of environments; 0 where no label occurs in two environments.
    """
    cells, place = torch.unique(torch.stack([bins, env], 1), dim=0, return_inverse=True)
    member = (place == torch.arange(len(cells), device=place.device).unsqueeze(1)).to(values.dtype)  # (C, B)
    weight = member * present.to(values.dtype).unsqueeze(1)  # (M, C, B)
    count = weight.sum(2)
    means = weight @ values / count.clamp(min=1).unsqueeze(2)  # (M, C, D)
    first, second = torch.triu_indices(len(cells), len(cells), 1, device=values.device)
    same = cells[first, 0] == cells[second, 0]
    first, second = first[same], second[same]
    pairs = torch.stack([means[:, first], means[:, second]])  # (2, M, P, D)
    return invariance(pairs, (count[:, first] > 0) & (count[:, second] > 0), distance)
