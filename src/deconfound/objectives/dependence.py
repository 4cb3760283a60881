"""How dependent two representations are, beyond correlation: HSIC, and an upper bound of their mutual information."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean, row_moments


@full_precision
def gaussian_kernel(values: Tensor, present: Tensor) -> Tensor:
    """exp(−‖x − y‖² / 2σ²) between the rows; σ is the (lower) median distance between two present rows, detached.

    Where the median is 0 the root of the mean square stands in for it; where all rows are equal every entry is 1.

    Args:
        values: (*, B, D).
        present: (*, B) bool; absent rows have no part in σ.

    Returns:
        (*, B, B) in [0, 1].
    """
    centred = row_moments(values, present)[1]  # of centred rows the Gram matrix loses fewer digits
    norms = centred.square().sum(-1)
    squares = norms.unsqueeze(-1) + norms.unsqueeze(-2) - 2 * centred @ centred.transpose(-2, -1)
    squares = squares.clamp(min=0)
    pairs = _pairs(present)
    ordered = squares.detach().masked_fill(~pairs, torch.inf).flatten(-2).sort(-1).values
    count = pairs.sum((-2, -1))
    median = ordered.gather(-1, ((count - 1) // 2).clamp(min=0).unsqueeze(-1))
    mean = (squares.detach() * pairs).sum((-2, -1)) / count.clamp(min=1)
    scale = torch.where((median > 0) & (median < torch.inf), median, mean.unsqueeze(-1))
    scale = torch.where(scale > 0, scale, 1).unsqueeze(-1)
    return torch.exp(-squares / (2 * scale))


@full_precision
def hsic(first: Tensor, second: Tensor, present: Tensor) -> Tensor:
    """Hilbert-Schmidt independence criterion of Gaussian kernels, the unbiased estimator (Song et al., JMLR 2012, eq. 5).

    Computed as the inner product of U-centred matrices (Székely & Rizzo 2014), which is the same number. The biased
    estimator has a floor of order 1/B for independent parts; this one is 0 there in expectation whatever B is, at the
    price that a batch may give a negative number. Time and memory B² per modality.

    Args:
        first: (*, B, D).
        second: (*, B, E).
        present: (*, B) bool.

    Returns:
        (*); 0 with fewer than four present rows, for which it is not defined.
    """
    return mean_product(_kernel(first, present), _kernel(second, present), present)


@full_precision
def normalised_hsic(first: Tensor, second: Tensor, present: Tensor) -> Tensor:
    """HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)), each unbiased: no unit and no size of the batch in it ("hsic").

    Args:
        first: (*, B, D).
        second: (*, B, E).
        present: (*, B) bool.

    Returns:
        (*) in [−1, 1], about 0 for independent parts and 1 where both kernels agree; 0 for a constant part and with
        fewer than four present rows.
    """
    a, b = _kernel(first, present), _kernel(second, present)
    scale = mean_product(a, a, present) * mean_product(b, b, present)
    return mean_product(a, b, present) * (scale + 1e-12).rsqrt()


def _pairs(present: Tensor) -> Tensor:
    """(*, B) bool → (*, B, B) bool: two different rows, both present."""
    same = torch.eye(present.shape[-1], dtype=torch.bool, device=present.device)
    return present.unsqueeze(-1) & present.unsqueeze(-2) & ~same


def _kernel(values: Tensor, present: Tensor) -> Tensor:
    return u_centred(gaussian_kernel(values, present), present)


@full_precision
def u_centred(matrix: Tensor, present: Tensor) -> Tensor:
    """A symmetric matrix of similarities or distances whose rows, without the diagonal, are centered to sum to 0.

    Source: Székely and Rizzo, Annals of Statistics 42, 2014, definition 2.

    Args:
        matrix: (*, B, B); its diagonal has no effect.
        present: (*, B) bool.

    Returns:
        (*, B, B); 0 on the diagonal and for absent rows.
    """
    pairs = _pairs(present).to(matrix.dtype)
    matrix = matrix * pairs
    count = present.sum(-1).to(matrix.dtype)[..., None, None]
    rows = matrix.sum(-1, keepdim=True) / (count - 2).clamp(min=1)
    total = matrix.sum((-2, -1), keepdim=True) / ((count - 1) * (count - 2)).clamp(min=1)
    return (matrix - rows - rows.transpose(-2, -1) + total) * pairs


@full_precision
def mean_product(first: Tensor, second: Tensor, present: Tensor) -> Tensor:
    """Mean product of two U-centered matrices: unbiased HSIC for kernels, squared distance covariance for distances.

    Args:
        first, second: (*, B, B) of `u_centred`.
        present: (*, B) bool.

    Returns:
        (*); 0 with fewer than four present rows.
    """
    count = present.sum(-1).to(first.dtype)
    total = (first * second).sum((-2, -1)) / (count * (count - 3)).clamp(min=1)
    return torch.where(count > 3, total, 0)


@full_precision
def standardised(values: Tensor, present: Tensor) -> Tensor:
    """Columns with mean 0 and variance 1 over the present rows: (*, B, D) and (*, B) bool → (*, B, D), absent rows 0."""
    _, centred, variance = row_moments(values, present)
    return centred * (variance + 1e-12).rsqrt()


@full_precision
def surprise(values: Tensor, mean: Tensor, log_variance: Tensor, present: Tensor) -> Tensor:
    """−log of a diagonal Gaussian's density without log √2π: mean over dimensions and present rows, (*).

    Args:
        values, mean, log_variance: (*, B, D).
        present: (*, B) bool.
    """
    error = (values - mean).square() * torch.exp(-log_variance) + log_variance
    return row_mean(error.mean(-1) / 2, present)


@full_precision
def club(values: Tensor, mean: Tensor, log_variance: Tensor, present: Tensor) -> Tensor:
    """Contrastive log-ratio upper bound of mutual information (Cheng et al., ICML 2020, eq. 15), per dimension.

    mean_i [log q(s_i | z_i) − mean_j log q(s_j | z_i)] for a Gaussian q with diagonal variance. The second mean is over
    all rows j without a tensor of B² differences: mean_j (s_j − μ_i)² = Var(s) + (s̄ − μ_i)². It bounds I(s; z) from
    above where q is the true conditional distribution, or near enough to it.

    Args:
        values: (*, B, D) s.
        mean, log_variance: (*, B, D) of q(· | z_i).
        present: (*, B) bool.

    Returns:
        (*) nats divided by D; negative where q is wrong; 0 with one present row or none.
    """
    centre, _, variance = row_moments(values, present)
    other = variance + (centre - mean).square()
    gap = (other - (values - mean).square()) * torch.exp(-log_variance)
    return row_mean(gap.mean(-1) / 2, present)
