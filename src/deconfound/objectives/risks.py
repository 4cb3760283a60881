"""Risks by environment and what is asked of them."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.rows import full_precision


def environment_means(values: Tensor, env: Tensor) -> Tensor:
    """Mean of (B,) values over the rows of each environment that occurs: (E',), in the order of the numbers (B,)."""
    _, place, count = torch.unique(env, return_inverse=True, return_counts=True)
    total = values.new_zeros(len(count)).index_add(0, place, values)
    return total / count


@full_precision
def risk_variance(risks: Tensor, env: Tensor) -> Tensor:
    """V-REx: variance, dividing by E', of the mean risks of the environments (Krueger et al., ICML 2021, eq. 8).

    Args:
        risks: (B,).
        env: (B,) environment numbers.

    Returns:
        () non-negative; 0 with one environment.
    """
    return environment_means(risks, env).var(correction=0)
