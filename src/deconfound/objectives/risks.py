"""Mean risks of environments, and penalties on them.

Where a batch holds some of the environments, each as likely as the others, the results are estimates of those over all of
them, without bias: means over batches of fixed mean risks are the values with every environment in the batch.
"""

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


def environment_means(values: Tensor, env: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of (B,) values over the rows of each environment that occurs: (E',), in the order of the numbers (B,).

    Args:
        weight: (B,) of the rows; None where all count alike.
    """
    return row_mean(values, members(env)[1], weight)


@full_precision
def risk_variance(
    risks: Tensor,
    env: Tensor,
    environments: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    halves: bool = False,
) -> Tensor:
    """V-REx: variance, dividing by E, of the mean risks of the environments (Krueger et al., ICML 2021, eq. 8).

    The variance of E' of them is times E' (E − 1) / (E (E' − 1)), as samples without replacement need it. With all rows, what
    the few rows of an environment add to the variance of its mean risk stays in. With halves it does not: the covariance over
    environments of the mean risks of their odd and of their even rows has the variance of the true means as its
    expectation, and may be negative.

    Args:
        risks: (B,).
        env: (B,) environment numbers.
        environments: () integer E, of which the batch holds E'; E' if left out or smaller.
        weight: (B,) of the rows; None where all count alike.
        halves: see above; environments with one row then do not count.

    Returns:
        (); 0 with one environment.
    """
    rows = members(env)[1]
    if halves:
        odd = rows.cumsum(1) % 2 == 1
        counted = (rows & ~odd).any(1)
        first, second = row_mean(risks, rows & odd, weight), row_mean(risks, rows & ~odd, weight)
    else:
        counted = rows.any(1)
        first = second = row_mean(risks, rows, weight)
    held = counted.sum().to(risks.dtype)
    moved = first - row_mean(first, counted)
    value = row_mean(moved * (second - row_mean(second, counted)), counted)
    total = held if environments is None else torch.maximum(environments.to(held), held)
    factor = held * (total - 1) / (total * (held - 1)).clamp(min=1)
    return value * torch.where(held > 1, factor, 0)


@full_precision
def mean_risk(risks: Tensor, env: Tensor, weight: Tensor | None = None) -> Tensor:
    """() mean over the environments of their mean risks; (B,) risks, environment numbers and weights of the rows."""
    return environment_means(risks, env, weight).mean()


@full_precision
def group_risk(risks: Tensor, env: Tensor, log_share: Tensor, weight: Tensor | None = None) -> Tensor:
    """Σ_e q_e R_e over all E environments, estimated as E / E' times the sum over the E' of the batch (GroupDRO).

    So the gradient is that of Σ_e q_e R_e in the mean over batches. The algorithm of Sagawa et al. (ICLR 2020), which samples
    one environment per step, takes q_e ∇R_e: E times less, a matter of the learning rate.

    Args:
        risks: (B,).
        env: (B,) environment numbers in [0, E).
        log_share: (E,) logarithms of q, which sums to 1; −∞ for an environment that never is in a batch.
        weight: (B,) of the rows; None where all count alike.

    Returns:
        () between the lowest and the highest mean risk where all environments are in the batch.
    """
    numbers, rows = members(env)
    return row_mean(risks, rows, weight) @ (log_share[numbers].exp() * _inverse_share(log_share, numbers)).to(
        risks.dtype
    )


@full_precision
def group_step(log_share: Tensor, risks: Tensor, env: Tensor, rate: float, weight: Tensor | None = None) -> Tensor:
    """One step of GroupDRO's adversary: q_e ∝ q_e exp(rate · R_e) (Sagawa et al., ICLR 2020, algorithm 1).

    Of E environments the E' in the batch move, by rate · R_e · E / E': the factor makes the mean over batches that of a batch
    with all of them, as in the authors' proof of convergence. Then q is scaled to sum to 1, so that a batch without an
    environment of high risk does not keep the others from losing to it.

    Args:
        log_share: (E,) logarithms of q; −∞ for an environment that never is in a batch.
        risks: (B,).
        env: (B,) environment numbers in [0, E).
        rate: η ≥ 0.
        weight: (B,) of the rows; None where all count alike.

    Returns:
        (E,) the new logarithms; q sums to 1.
    """
    numbers, rows = members(env)
    gained = rate * _inverse_share(log_share, numbers) * row_mean(risks, rows, weight)
    return log_share.index_add(0, numbers, gained.to(log_share.dtype)).log_softmax(0)


def _inverse_share(log_share: Tensor, numbers: Tensor) -> Tensor:
    """() E / E': all environments that may be in a batch, over those that are in this one."""
    possible = log_share > -torch.inf
    return possible.sum().to(log_share.dtype) / possible[numbers].sum().clamp(min=1)
