"""Mean risks of environments, and penalties on them."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean


def members(env: Tensor) -> tuple[Tensor, Tensor]:
    """The E' environments that occur in a batch, with their rows.

    Args:
        env: (B,) environment numbers.

    Returns:
        (E',) their numbers in order, and (E', B) bool: their rows.
    """
    numbers = torch.unique(env)
    return numbers, env == numbers.unsqueeze(1)


def environment_means(values: Tensor, env: Tensor) -> Tensor:
    """Mean of (B,) values over the rows of each environment that occurs: (E',), in the order of the numbers (B,)."""
    return row_mean(values, members(env)[1])


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


@full_precision
def group_risk(risks: Tensor, env: Tensor, log_share: Tensor) -> Tensor:
    """Σ_e q_e R_e over the environments of the batch, whose q are scaled to sum to 1 (GroupDRO).

    Args:
        risks: (B,).
        env: (B,) environment numbers in [0, E).
        log_share: (E,) logarithms of q.

    Returns:
        () between the lowest and the highest mean risk.
    """
    numbers, rows = members(env)
    return row_mean(risks, rows) @ log_share[numbers].softmax(0).to(risks.dtype)


@full_precision
def group_step(log_share: Tensor, risks: Tensor, env: Tensor, rate: float) -> Tensor:
    """One step of GroupDRO's adversary: q_e ∝ q_e exp(rate · R_e) (Sagawa et al., ICLR 2020, algorithm 1).

    The environments of the batch redistribute their total share among themselves, so an environment outside the batch keeps
    its own. With all environments in the batch this is the published step.

    Args:
        log_share: (E,) logarithms of q.
        risks: (B,).
        env: (B,) environment numbers in [0, E).
        rate: η ≥ 0.

    Returns:
        (E,) the new logarithms; Σ q stays.
    """
    numbers, rows = members(env)
    own = log_share[numbers]
    moved = (own + rate * row_mean(risks, rows)).log_softmax(0) + own.logsumexp(0)
    return log_share.index_copy(0, numbers, moved.to(log_share.dtype))
