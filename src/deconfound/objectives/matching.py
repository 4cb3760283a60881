"""How far a statistic differs between environments: features as a whole, or given the label.

Every distance is a mean over the pairs of environments and over the entries of the statistic, so that its weight depends
neither on E nor on D.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.risks import members
from deconfound.objectives.rows import full_precision, row_mean, row_moments

FEWEST = 3
"""Rows from which an environment tells slope, intercept and residual variance."""

_SPREAD = 1e-3
"""Least share of the variance of all targets that an environment's own must have to tell a slope."""


def pair_distance(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of (x_e − x_e')² over the pairs e < e' of valid environments, without a tensor of E² pairs.

    Σ_{e<e'} (x_e − x_e')² = n Σ_e (x_e − x̄)² for n environments.

    Args:
        values: (E, *).
        valid: (E, *) bool, or of a shape that broadcasts.

    Returns:
        (*) non-negative, 0 where there is no pair; and (*) bool: where there is one.
    """
    weight = valid.to(values.dtype).expand_as(values)
    count = weight.sum(0)
    centred = (values - (values * weight).sum(0) / count.clamp(min=1)) * weight
    return centred.square().sum(0) * 2 / (count - 1).clamp(min=1), count > 1


@full_precision
def coral(values: Tensor, present: Tensor, env: Tensor) -> Tensor:
    """Distance of the means plus distance of the covariances of environments (Sun & Saenko, 2016, as DomainBed has it).

    Means, over the present rows, and covariances, over the rows in which both columns are present, dividing by n − 1.

    Args:
        values: (B, D); not read where `present` is False.
        present: (B, D) bool.
        env: (B,) environment numbers.

    Returns:
        () non-negative: the mean of squared differences over pairs and columns, plus that over pairs of columns; what
        fewer than two environments tell is left out.
    """
    weight = (members(env)[1].unsqueeze(2) & present).to(values.dtype)  # (E', B, D)
    values = values.masked_fill(~present, 0)
    count = weight.sum(1, keepdim=True)
    mean = (values * weight).sum(1, keepdim=True) / count.clamp(min=1)
    centred = (values - mean) * weight
    both = weight.transpose(1, 2) @ weight  # (E', D, D) rows in which both are present
    covariance = (centred.transpose(1, 2) @ centred) / (both - 1).clamp(min=1)
    return _mean(pair_distance(mean[:, 0], count[:, 0] > 0)) + _mean(pair_distance(covariance, both > 1))


@full_precision
def regression_moments(values: Tensor, present: Tensor, target: Tensor, env: Tensor) -> Tensor:
    """How the regression of features on the target differs between environments.

    Per environment and column: slope, intercept and residual variance of z on y. y is standardised over the present rows
    and differences are in units of the standard deviation of z over them, so that neither scale matters. Environments
    with fewer than 3 present rows, or hardly any spread of y, are left out.

    Args:
        values: (B, D); not read where `present` is False.
        present: (B,) bool.
        target: (B,) floats.
        env: (B,) environment numbers.

    Returns:
        () non-negative: the sum over the three of the mean over pairs and columns.
    """
    rows = members(env)[1] & present  # (E', B)
    values = values.masked_fill(~present.unsqueeze(1), 0)
    _, centred, variance = row_moments(target.to(values.dtype).unsqueeze(1), present)
    y = centred * _safe(variance).rsqrt()
    scale = _safe(row_moments(values, present)[2])  # (1, D)
    y_mean, y, y_variance = row_moments(y, rows)
    z_mean, z, _ = row_moments(values, rows)
    count = rows.sum(1).reshape(-1, 1, 1)
    valid = (count >= FEWEST) & (y_variance > _SPREAD)  # (E', 1, 1)
    slope = (y * z).sum(1, keepdim=True) / (count * torch.where(valid, y_variance, 1)).clamp(min=1e-6)
    residual = (z - slope * y).square().sum(1, keepdim=True) / count.clamp(min=1)
    parts = (slope, scale), (z_mean - slope * y_mean, scale), (residual, scale.square())
    sums = [_mean(pair_distance(part / unit.sqrt(), valid)) for part, unit in parts]
    return torch.stack(sums).sum()


@full_precision
def class_moments(values: Tensor, present: Tensor, target: Tensor, env: Tensor, classes: int) -> Tensor:
    """How mean and variance of the features of a class differ between environments.

    In units of the standard deviation of z over all present rows. An environment with fewer than 2 present rows of a
    class is left out of that class, and a class that fewer than 2 environments tell is left out.

    Args:
        values: (B, D); not read where `present` is False.
        present: (B,) bool.
        target: (B,) class numbers.
        env: (B,) environment numbers.
        classes: C.

    Returns:
        () non-negative: the mean over pairs, classes and columns of the two squared differences together.
    """
    kinds = target == torch.arange(classes, device=target.device).unsqueeze(1)  # (C, B)
    rows = members(env)[1].unsqueeze(1) & kinds & present  # (E', C, B)
    values = values.masked_fill(~present.unsqueeze(1), 0)
    scale = _safe(row_moments(values, present)[2])
    mean, _, variance = row_moments(values, rows)  # (E', C, 1, D)
    valid = (rows.sum(-1) > 1)[..., None, None]
    return _mean(pair_distance(mean / scale.sqrt(), valid)) + _mean(pair_distance(variance / scale, valid))


def _mean(found: tuple[Tensor, Tensor]) -> Tensor:
    """Mean of the distances that have a pair; 0 where none has."""
    return row_mean(found[0].flatten(), found[1].flatten())


def _safe(variance: Tensor) -> Tensor:
    """A variance that can divide: 1 where a column is constant, which then differs by nothing."""
    return torch.where(variance > 1e-12, variance, 1)
