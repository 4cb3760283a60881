"""Canonical correlation between two modalities beyond what the label and the environment explain."""

from __future__ import annotations

import torch
from torch import Tensor

COMPONENTS = 20
"""Most principal components per modality."""
FEWEST = 2 * COMPONENTS
"""Fewest rows for a measurement."""


def residual_correlation(first: Tensor, second: Tensor, columns: Tensor, generator: torch.Generator) -> float:
    """The largest canonical correlation of two modalities after regressing out (N, G) columns, on held-out rows.

    The columns are regressed out of all rows. Principal components (at most 20, at most one per 20 rows) are found, and
    the pair of directions with the largest correlation is fitted, on a random half of them; the correlation is that on
    the other half, so that chance with many features does not count. Independent causes of one label depend on each other
    once it is given, as a collider; so where this pair of directions correlates less before the columns are regressed
    out, that is what counts. Computed on the CPU, in double precision.

    Args:
        first: (N, D) features of one modality; second: (N, E) of another.
        columns: (N, G) regressors, among them a constant.
        generator: decides the halves.

    Returns:
        in [-1, 1]; 0 with fewer than 40 rows or without residual.
    """
    count = len(columns)
    if count < FEWEST:
        return 0.0
    order = torch.randperm(count, generator=generator, device=generator.device).cpu()
    fit, held = order[: count // 2], order[count // 2 :]
    both = [values.cpu().double() for values in (first, second)]
    left = [residual(values, columns.cpu().double()) for values in both]
    parts = [_components(rest[fit], torch.linalg.matrix_norm(values)) for rest, values in zip(left, both, strict=True)]
    if min(directions.shape[1] for directions in parts) == 0:
        return 0.0
    white = [d @ _whitened((rest[fit] - rest[fit].mean(0)) @ d) for rest, d in zip(left, parts, strict=True)]
    scores = [(rest[fit] - rest[fit].mean(0)) @ w for rest, w in zip(left, white, strict=True)]
    one, _, other = torch.linalg.svd(scores[0].T @ scores[1])
    pair = white[0] @ one[:, 0], white[1] @ other[0]
    beyond, plain = (_correlation(*(v[held] @ d for v, d in zip(of, pair, strict=True))) for of in (left, both))
    return min(beyond, plain)


def label_columns(target: Tensor, env: Tensor, classification: bool) -> Tensor:
    """(N, G) regressors for label and environment: a constant per (class, environment), or a cubic in y per environment."""
    if classification:
        _, cell = torch.unique(torch.stack([target, env], 1), dim=0, return_inverse=True)
        return torch.nn.functional.one_hot(cell).double()
    y = target.double()
    spread = y.std() if len(y) > 1 else torch.zeros_like(y[:1])  # PyTorch warns where one row has no spread
    y = (y - y.mean()) / spread.clamp(min=1e-12)
    powers = torch.stack([torch.ones_like(y), y, y.square(), y**3], 1)
    _, place = torch.unique(env, return_inverse=True)
    which = torch.nn.functional.one_hot(place).double()  # (N, E)
    return (which.unsqueeze(2) * powers.unsqueeze(1)).flatten(1)


def residual(values: Tensor, columns: Tensor) -> Tensor:
    """(N, D) residuals of a regression of the values on the (N, G) columns, on the CPU; the columns may be dependent.

    Fitted on all rows: rows whose class or environment is in one half alone would keep their label otherwise.
    """
    return values - columns @ torch.linalg.lstsq(columns, values, driver="gelsd").solution


def _components(rest: Tensor, size: Tensor) -> Tensor:
    """(D, P) principal directions of (R, D) residuals that stand above rounding beside the norm () of the values."""
    most = max(1, min(COMPONENTS, len(rest) // 20, rest.shape[1]))
    _, strengths, directions = torch.linalg.svd(rest - rest.mean(0), full_matrices=False)
    return directions[:most][strengths[:most] > 1e-8 * size].T


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of two (R,) columns, 0 where one is constant."""
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp(min=1e-12))


def _whitened(values: Tensor) -> Tensor:
    """(P, P) factor that makes the columns uncorrelated with unit sum of squares."""
    return torch.linalg.inv(torch.linalg.qr(values).R)
