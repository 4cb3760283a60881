"""How far a statistic differs between environments: features as a whole, or given the label.

Every distance is a mean over the pairs of environments and over the entries of the statistic, so that a batch with some of
the environments estimates the mean over the pairs of all. The statistics of few rows scatter by themselves, which adds to a
square: with B fixed it grows with the number of environments in the batch. A product of two halves has no such addition.
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


def pair_distance(values: Tensor, valid: Tensor, others: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean of (x_e − x_e')² over the pairs e < e' of valid environments, without a tensor of E² pairs.

    Σ_{e<e'} (x_e − x_e') (y_e − y_e') = n Σ_e (x_e − x̄) (y_e − ȳ) for n environments.

    Args:
        values: (E, *) x.
        valid: (E, *) bool, or of a shape that broadcasts.
        others: (E, *) y, a second estimate of the same from other rows; x itself if left out. The noise of x is squared
            with it, while the product of two independent estimates has the mean of the true squares and may be negative.

    Returns:
        (*), 0 where there is no pair; and (*) bool: where there is one.
    """
    weight = valid.to(values.dtype).expand_as(values)
    count = weight.sum(0)

    def centred(x: Tensor) -> Tensor:
        return (x - (x * weight).sum(0) / count.clamp(min=1)) * weight

    first = centred(values)
    second = first if others is None else centred(others)
    return (first * second).sum(0) * 2 / (count - 1).clamp(min=1), count > 1


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
def regression_moments(values: Tensor, present: Tensor, target: Tensor, env: Tensor, halves: bool) -> Tensor:
    """How the regression of features on the target differs between environments.

    Per environment and column: slope, intercept and residual variance of z on y. y is standardised over the present rows
    and differences are in units of the standard deviation of z over them, so that neither scale matters. Environments
    (with `halves`, halves of them) with fewer than 3 present rows, or hardly any spread of y, are left out.

    Args:
        values: (B, D); not read where `present` is False.
        present: (B,) bool.
        target: (B,) floats.
        env: (B,) environment numbers.
        halves: multiply the differences on the odd and on the even present rows instead of squaring those on all.

    Returns:
        () the sum over the three of the mean over pairs and columns; non-negative without `halves`.
    """
    values = values.masked_fill(~present.unsqueeze(1), 0)
    _, centred, variance = row_moments(target.to(values.dtype).unsqueeze(1), present)
    y = centred * _safe(variance).rsqrt()
    scale = _safe(row_moments(values, present)[2])  # (1, D)
    lines = [_lines(values, y, rows) for rows in _samples(members(env)[1] & present, halves)]
    valid = torch.stack([valid for _, valid in lines]).all(0)
    first, second = lines[0][0], lines[-1][0]
    units = scale.sqrt(), scale.sqrt(), scale
    sums = [_mean(pair_distance(a / u, valid, b / u)) for a, b, u in zip(first, second, units, strict=True)]
    return torch.stack(sums).sum()


def _lines(z: Tensor, y: Tensor, rows: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Slope, intercept and residual variance, (E', 1, D), of (B, D) on (B, 1) over (E', B) rows, and (E', 1, 1) valid."""
    y_mean, y, y_variance = row_moments(y, rows)
    z_mean, z, _ = row_moments(z, rows)
    count = rows.sum(1).reshape(-1, 1, 1)
    valid = (count >= FEWEST) & (y_variance > _SPREAD)
    slope = (y * z).sum(1, keepdim=True) / (count * torch.where(valid, y_variance, 1)).clamp(min=1e-6)
    residual = (z - slope * y).square().sum(1, keepdim=True) / count.clamp(min=1)
    return (slope, z_mean - slope * y_mean, residual), valid


@full_precision
def class_moments(values: Tensor, present: Tensor, target: Tensor, env: Tensor, classes: int, halves: bool) -> Tensor:
    """How mean and variance of the features of a class differ between environments.

    In units of the standard deviation of z over all present rows. An environment with fewer than 2 present rows of a
    class (with `halves`, in a half) is left out of that class, and so is a class with fewer than 2 such environments.

    Args:
        values: (B, D); not read where `present` is False.
        present: (B,) bool.
        target: (B,) class numbers.
        env: (B,) environment numbers.
        classes: C.
        halves: multiply the differences on the odd and on the even present rows instead of squaring those on all.

    Returns:
        () the mean over pairs, classes and columns of the two differences together; non-negative without `halves`.
    """
    kinds = target == torch.arange(classes, device=target.device).unsqueeze(1)  # (C, B)
    cells = members(env)[1].unsqueeze(1) & kinds & present  # (E', C, B)
    values = values.masked_fill(~present.unsqueeze(1), 0)
    scale = _safe(row_moments(values, present)[2])
    samples = _samples(cells, halves)
    valid = torch.stack([rows.sum(-1) > 1 for rows in samples]).all(0)[..., None, None]
    moments = [row_moments(values, rows) for rows in samples]  # (E', C, 1, D)
    means, variances = [mean / scale.sqrt() for mean, _, _ in moments], [variance / scale for _, _, variance in moments]
    return sum(
        (_mean(pair_distance(moment[0], valid, moment[-1])) for moment in (means, variances)), scale.new_zeros(())
    )


def _samples(rows: Tensor, halves: bool) -> list[Tensor]:
    """(*, B) bool: all rows of each group, or its odd and its even ones."""
    odd = rows.cumsum(-1) % 2 == 1
    return [rows & odd, rows & ~odd] if halves else [rows]


def _mean(distances: tuple[Tensor, Tensor]) -> Tensor:
    """Mean of the distances that have a pair; 0 where none has."""
    return row_mean(distances[0].flatten(), distances[1].flatten())


def _safe(variance: Tensor) -> Tensor:
    """A variance safe to divide by: 1 where a column is constant, whose differences are then 0."""
    return torch.where(variance > 1e-12, variance, 1)
