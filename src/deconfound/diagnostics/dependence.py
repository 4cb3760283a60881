"""How strongly two parts of a representation depend on each other: HSIC and distance correlation, without bias.

Both compare the similarities among rows in one part with those in the other. "Without bias" means an expectation of 0
for independent parts whatever the number of rows; the usual forms grow with the width of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deconfound.diagnostics.maps import linear_map
from deconfound.diagnostics.permuting import p_value, permutation_within

MOST_ROWS = 400
"""Rows that are compared, drawn by the generator: the cost grows with their square."""
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Dependence:
    """Two parts of the same rows.

    Args:
        hsic: unbiased estimate of the Hilbert-Schmidt independence criterion, Gaussian kernels of median width.
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
    kernels = u_centred(gaussian_gram(x)), u_centred(gaussian_gram(y))
    gaps = u_centred(distances(x)), u_centred(distances(y))
    orders = np.stack([np.arange(len(x)), *(generator.permutation(len(x)) for _ in range(permutations))])
    hsic, gap = _permuted(*kernels, orders), _permuted(*gaps, orders)
    given = None
    if bins is not None:
        inside = np.stack(
            [np.arange(len(x)), *(permutation_within(bins[chosen], generator) for _ in range(permutations))]
        )
        given = p_value(_permuted(*kernels, inside))
    squared = _correlation(*gaps)
    return Dependence(
        hsic=float(hsic[0]),
        similarity=_correlation(*kernels),
        hsic_p=p_value(hsic),
        hsic_p_given_label=given,
        distance_correlation=None if squared is None else float(np.sqrt(max(0.0, squared))),
        distance_correlation_p=p_value(gap),
        rows=len(x),
    )


def hsic(one: np.ndarray, other: np.ndarray) -> float:
    """Unbiased HSIC of (N, D) and (N, D') rows, N ≥ 4, with Gaussian kernels as wide as the median distance.

    Source: Song et al., JMLR 13, 2012, equation 5.
    """
    return inner(u_centred(gaussian_gram(one)), u_centred(gaussian_gram(other)))


def distance_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Bias-corrected squared distance correlation of N ≥ 4 rows, at most 1, about 0 for independent ones.

    Source: Székely and Rizzo, Annals of Statistics 42, 2014.
    """
    return _correlation(u_centred(distances(one)), u_centred(distances(other)))


def distances(rows: np.ndarray) -> np.ndarray:
    """(N, N) Euclidean."""
    from scipy.spatial.distance import cdist

    return cdist(rows, rows)


def gaussian_gram(rows: np.ndarray) -> np.ndarray:
    """(N, N) exp(−d² / 2σ²), σ the median distance of two rows."""
    gaps = distances(rows)
    apart = gaps[np.triu_indices(len(rows), 1)]
    width = float(np.median(apart)) or float(apart.mean()) or 1.0
    return np.exp(-np.square(gaps / width) / 2)


def u_centred(gram: np.ndarray) -> np.ndarray:
    """(N, N) with zero diagonal and zero row sums, so that `inner` has no bias; the diagonal given does not enter."""
    n = len(gram)
    open_ = gram - np.diag(np.diag(gram))
    sums = open_.sum(axis=0)
    centred = open_ - (sums[:, None] + sums[None, :]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0)
    return centred


def inner(one: np.ndarray, other: np.ndarray) -> float:
    """Mean product of two U-centred matrices: unbiased for HSIC (kernels) or the squared distance covariance."""
    n = len(one)
    return float((one * other).sum() / (n * (n - 3)))


def _correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    size = inner(one, one) * inner(other, other)
    return inner(one, other) / float(np.sqrt(size)) if size > 1e-20 else None


def _permuted(one: np.ndarray, other: np.ndarray, orders: np.ndarray) -> np.ndarray:
    return np.array([inner(one, other[np.ix_(order, order)]) for order in orders])
