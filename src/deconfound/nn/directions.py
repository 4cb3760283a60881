"""Directions in which features move with the environment although the label stays: what structured noise follows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deconfound.nn.standardise import safe_std

RANK = 4
"""Most directions per modality."""
PERMUTATIONS = 20
"""Random exchanges of environments whose largest movement is the noise floor."""
FEWEST = 3
"""Fewest rows of a label in an environment that count."""


def movements(features: Tensor, env: Tensor, bins: Tensor) -> Tensor:
    """How the mean of each label moves with the environment: rows √n_ke (E[x | k, e] − E[x | k]), methods 2.6.

    Args:
        features: (N, D).
        env: (N,) environment numbers.
        bins: (N,) label of each row.

    Returns:
        (R, D), one row for each label and environment with three rows or more; R = 0 where no label has two of these.
    """
    if len(features) == 0:
        return features
    environments = int(env.max()) + 1
    cells, place = torch.unique(bins * environments + env, return_inverse=True)
    count = torch.bincount(place, minlength=len(cells)).to(features.dtype)
    means = features.new_zeros(len(cells), features.shape[1]).index_add(0, place, features) / count.unsqueeze(1)
    enough = count >= FEWEST
    label = cells // environments
    together = torch.bincount(label[enough], minlength=int(label.max()) + 1)
    kept = enough & (together[label] > 1)
    weight = torch.where(kept, count, 0)
    size = features.new_zeros(len(together)).index_add(0, label, weight).clamp(min=1)
    centre = features.new_zeros(len(together), features.shape[1]).index_add(0, label, means * weight.unsqueeze(1))
    centre = centre / size.unsqueeze(1)
    return (count.sqrt().unsqueeze(1) * (means - centre[label]))[kept]


def without_shifts(features: Tensor, env: Tensor, bins: Tensor) -> Tensor:
    """(N, D) features minus the shift of their environment, b_e of E[x | k, e] ≈ a_k + b_e by least squares over the cells.

    The movement that remains at a fixed label is that of the slope of the features on the label. A cause whose distribution
    shifts moves its centre and keeps its slope; a shortcut whose relation to the label changes moves its slope. An
    environment that lacks a label is placed by the labels that it shares with others.
    """
    if len(features) == 0:
        return features
    environments = int(env.max()) + 1
    cells, place = torch.unique(bins * environments + env, return_inverse=True)
    count = torch.bincount(place, minlength=len(cells)).to(features.dtype).unsqueeze(1)
    means = features.new_zeros(len(cells), features.shape[1]).index_add(0, place, features) / count
    label, owner = (torch.nn.functional.one_hot(part) for part in (cells // environments, cells % environments))
    fitted = torch.linalg.pinv(torch.cat([owner, label], 1).to(features.dtype)) @ means
    return features - fitted[env]


def unstable_directions(features: Tensor, env: Tensor, bins: Tensor, generator: torch.Generator) -> Tensor:
    """The directions of `movements` above the noise floor, the strongest with length 1.

    The floor is the largest singular value in 20 random exchanges of the environments among rows of one label: the
    effect of sampling alone, whatever the correlations of the features. With singular values s_i and floor s_0, direction
    v_i has length √(s_i² − s_0²) over that of the strongest.

    Args:
        features: (N, D) standardised.
        env, bins: (N,).
        generator: of the exchanges.

    Returns:
        (D, 4) columns, 0 where there is no further direction.
    """
    scaled = features.new_zeros(features.shape[1], RANK)
    rows = movements(features, env, bins)
    if len(rows) == 0:
        return scaled
    _, values, directions = torch.linalg.svd(rows, full_matrices=False)
    floor = max(_strongest(features, exchanged(env, bins, generator), bins) for _ in range(PERMUTATIONS))
    above = (values.square() - floor**2).clamp(min=0).sqrt()[:RANK]
    if above[0] > 0:
        scaled[:, : len(above)] = directions[: len(above)].T * (above / above[0])
    return scaled


def exchanged(env: Tensor, bins: Tensor, generator: torch.Generator) -> Tensor:
    """(N,) the environments, randomly exchanged among the rows of one label."""
    random = torch.rand(len(env), generator=generator, device=generator.device).to(env.device)
    order = torch.argsort(random)
    shuffled = order[torch.argsort(bins[order], stable=True)]  # rows by label, in random order within it
    plain = torch.argsort(bins, stable=True)
    result = torch.empty_like(env)
    result[plain] = env[shuffled]
    return result


def _strongest(features: Tensor, env: Tensor, bins: Tensor) -> float:
    rows = movements(features, env, bins)
    return float(torch.linalg.matrix_norm(rows, ord=2)) if len(rows) else 0.0


class Directions(nn.Module):
    """The current directions of G modalities of one width, and noise along them in the units of the features.

    Args:
        groups: G.
        width: H.
    """

    factor: Tensor

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.register_buffer("factor", torch.zeros(groups, width, RANK))

    def find(self, features: list[Tensor], env: list[Tensor], bins: list[Tensor], generator: torch.Generator) -> None:
        """Set them from many rows: per modality the (N, H) features of the rows that have it, and (N,) of these."""
        factors = []
        for values, e, b in zip(features, env, bins, strict=True):
            if len(values) == 0:
                factors.append(torch.zeros_like(self.factor[0], dtype=torch.float64))
                continue
            mean, std = values.double().mean(0), values.double().std(0, correction=0)
            std = safe_std(std, mean)
            factors.append(std.unsqueeze(1) * unstable_directions((values - mean) / std, e, b, generator))
        self.factor.copy_(torch.stack(factors))

    @property
    def counts(self) -> list[int]:
        """How many directions each modality has."""
        return (self.factor.abs().amax(1) > 0).sum(1).tolist()

    def forward(self, noise: Tensor) -> Tensor:
        """(G, N, 4) standard normal → (G, N, H) noise along the directions."""
        return noise @ self.factor.transpose(1, 2)
