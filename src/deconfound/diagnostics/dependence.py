"""How strongly two parts of a representation depend on each other: HSIC and distance correlation, without bias.

Both compare the similarities among rows in one part with those in the other. "Without bias" means an expectation of 0
for independent parts whatever the number of rows; the usual forms grow with the width of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deconfound.diagnostics.maps import linear_map
from deconfound.diagnostics.permuting import p_value, permutation_within
from deconfound.objectives.dependence import gaussian_kernel, mean_product, u_centred

MOST_ROWS = 400
"""Most rows that are compared, drawn by the generator: the cost grows with their square."""
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Dependence:
    """Two parts of the same rows.

    Args:
        hsic: unbiased estimate of the Hilbert-Schmidt independence criterion, Gaussian kernels whose width is the
            (lower) median distance of two rows, see `objectives.dependence`.
        similarity: hsic as a share of what the parts have with themselves (centred kernel alignment), at most 1; None
            where a part is constant.
        hsic_p: of independence, by permutation.
        hsic_p_given_label: the same with rows exchanged only within bins of the label; None without bins.
        distance_correlation: bias-corrected, in [0, 1]; None where a part is constant.
        distance_correlation_p: of independence, by permutation.
        rows: compared.
    """

    hsic: float
    similarity: float | None
    hsic_p: float
    hsic_p_given_label: float | None
    distance_correlation: float | None
    distance_correlation_p: float
    rows: int


def dependence(
    one: np.ndarray,
    other: np.ndarray,
    generator: np.random.Generator,
    *,
    bins: np.ndarray | None = None,
    permutations: int = 199,
) -> Dependence | None:
    """Measure and test the dependence of two parts.

    Args:
        one, other: (N, D) and (N, D'), the same rows; columns are standardised.
        generator: draws rows, where there are many, and permutations.
        bins: (N,) of the label, see `permuting.label_bins`.

    Returns:
        None for fewer than 20 rows.
    """
    if len(one) < FEWEST_ROWS:
        return None
    chosen = np.sort(generator.permutation(len(one))[:MOST_ROWS])
    x, y = linear_map(one[chosen])(one[chosen]), linear_map(other[chosen])(other[chosen])
    kernels = _centred_kernel(x), _centred_kernel(y)
    distances = _centred_distances(x), _centred_distances(y)
    orders = np.stack([np.arange(len(x)), *(generator.permutation(len(x)) for _ in range(permutations))])
    hsic, covariance = _permuted(*kernels, orders), _permuted(*distances, orders)
    hsic_p_given_label = None
    if bins is not None:
        inside = np.stack(
            [np.arange(len(x)), *(permutation_within(bins[chosen], generator) for _ in range(permutations))]
        )
        hsic_p_given_label = p_value(_permuted(*kernels, inside))
    squared = _correlation(*distances)
    return Dependence(
        hsic=float(hsic[0]),
        similarity=_correlation(*kernels),
        hsic_p=p_value(hsic),
        hsic_p_given_label=hsic_p_given_label,
        distance_correlation=None if squared is None else float(np.sqrt(max(0.0, squared))),
        distance_correlation_p=p_value(covariance),
        rows=len(x),
    )


def distance_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Bias-corrected squared distance correlation of two parts, at most 1, about 0 for independent ones.

    Source: Székely and Rizzo, Annals of Statistics 42, 2014.

    Args:
        one, other: (N, D) and (N, D'), the same N ≥ 4 rows.

    Returns:
        None where a part is constant.
    """
    return _correlation(_centred_distances(one), _centred_distances(other))


def _centred_kernel(rows: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.asarray(rows, dtype=np.float64))
    return u_centred(gaussian_kernel(values, _all(values)), _all(values))


def _centred_distances(rows: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.asarray(rows, dtype=np.float64))
    exact = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
    return u_centred(exact, _all(values))


def _all(rows: Tensor) -> Tensor:
    """(N,) bool: every row is present."""
    return torch.ones(len(rows), dtype=torch.bool)


def _product(one: Tensor, other: Tensor) -> float:
    return float(mean_product(one, other, _all(one)))


def _correlation(one: Tensor, other: Tensor) -> float | None:
    size = _product(one, one) * _product(other, other)
    return _product(one, other) / float(np.sqrt(size)) if size > 1e-20 else None


def _permuted(one: Tensor, other: Tensor, orders: np.ndarray) -> np.ndarray:
    """(P,) products with the rows of `other` in each of the (P, N) orders."""
    return np.array([_product(one, other[order][:, order]) for order in torch.from_numpy(orders)])
