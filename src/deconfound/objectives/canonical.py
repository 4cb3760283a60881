"""Canonical correlation between two modalities beyond what the label and the environment explain."""

from __future__ import annotations

import torch
from torch import Tensor

COMPONENTS = 20
"""Most principal components per modality."""


def residual_correlation(first: Tensor, second: Tensor, given: Tensor, generator: torch.Generator) -> float:
    """The largest canonical correlation of two modalities after regressing out (N, G) columns, on rows it did not see.

    The columns are regressed out of all rows. Principal components (at most 20, at most one per 20 rows) are found, and
    the pair of directions with the largest correlation is fitted, on a random half of them; the correlation is that on
    the other half, so that chance with many features does not count. Computed on the CPU, in double precision.

    Args:
        first: (N, D) features of one modality; second: (N, E) of another.
        given: (N, G) columns that are regressed out, with a constant among them.
        generator: decides the halves.

    Returns:
        in [-1, 1]; 0 with fewer than 40 rows or without residual.
    """
    count = len(given)
    if count < 2 * COMPONENTS:
        return 0.0
    order = torch.randperm(count, generator=generator, device=generator.device).cpu()
    fit, held = order[: count // 2], order[count // 2 :]
    scores = [_components(values.cpu().double(), given.cpu().double(), fit) for values in (first, second)]
    if min(values.shape[1] for values in scores) == 0:
        return 0.0
    white = [_whitened(values[fit]) for values in scores]
    left, _, right = torch.linalg.svd((scores[0][fit] @ white[0]).T @ (scores[1][fit] @ white[1]))
    a, b = scores[0][held] @ white[0] @ left[:, 0], scores[1][held] @ white[1] @ right[0]
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp(min=1e-12))


def label_columns(target: Tensor, env: Tensor, classification: bool) -> Tensor:
    """(N, G) what label and environment explain: a constant per (class, environment), or a cubic in y per environment."""
    if classification:
        _, cell = torch.unique(torch.stack([target, env], 1), dim=0, return_inverse=True)
        return torch.nn.functional.one_hot(cell).double()
    y = target.double()
    y = (y - y.mean()) / y.std().clamp(min=1e-12)
    powers = torch.stack([torch.ones_like(y), y, y.square(), y**3], 1)
    _, place = torch.unique(env, return_inverse=True)
    which = torch.nn.functional.one_hot(place).double()  # (N, E)
    return (which.unsqueeze(2) * powers.unsqueeze(1)).flatten(1)


def residual(values: Tensor, given: Tensor) -> Tensor:
    """(N, D) what a regression of the values on the (N, G) columns leaves, on the CPU; the columns may be dependent.

    Fitted on all rows: rows whose class or environment is in one half alone would keep their label otherwise.
    """
    return values - given @ torch.linalg.lstsq(given, values, driver="gelsd").solution


def _components(values: Tensor, given: Tensor, fit: Tensor) -> Tensor:
    """(N, P) scores of the residual on the principal components of the rows `fit` that stand above rounding."""
    left = residual(values, given)
    centred = left - left[fit].mean(0)
    most = max(1, min(COMPONENTS, len(fit) // 20, values.shape[1]))
    _, size, directions = torch.linalg.svd(centred[fit], full_matrices=False)
    kept = size[:most] > 1e-8 * torch.linalg.matrix_norm(values)  # beside which the rest is rounding
    return centred @ directions[:most][kept].T


def _whitened(values: Tensor) -> Tensor:
    """(P, P) factor that makes the columns uncorrelated with unit sum of squares."""
    return torch.linalg.inv(torch.linalg.qr(values).R)
