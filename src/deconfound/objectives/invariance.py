"""How far the representations of one row under K environments lie apart, without a tensor of K² pairs.

Every distance is a mean over the pairs of environments, over the dimensions (L1, L2) and over the present rows. So rows,
dimensions and environments that are drawn like those that are there do not change its expectation. Environments that are
noisier than those that are there do: with noise of strength e · α1 it grows with K. The published sum over ordered pairs and
dimensions is K (K − 1) D times the mean.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.rows import full_precision, row_mean

Distance = Literal["l1", "l2", "cosine"]


@full_precision
def invariance(views: Tensor, present: Tensor, distance: Distance) -> Tensor:
    """Mean distance between the views of a row.

    Sorted over the environments, Σ_{i<j} |x_i − x_j| = Σ_k (2k − K − 1) x_(k). For squares, Σ_{i<j} (x_i − x_j)² =
    K Σ_k (x_k − x̄)², which does not cancel as K Σ x² − (Σ x)² does. For unit vectors 1 − cos is half the squared
    distance.

    Args:
        views: (K, *, B, D) representations, one per environment.
        present: (*, B) bool; the other rows do not count.
        distance: "l1" |x − y|, "l2" (x − y)², "cosine" 1 − cos(x, y).

    Returns:
        (*) non-negative; 0 for K = 1, which has no pair, and where no row is present.
    """
    count = len(views)
    if count < 2:
        return views.new_zeros(views.shape[1:-2])
    if distance == "l1":
        order = torch.arange(1 - count, count, 2, device=views.device, dtype=views.dtype)
        pairs = torch.tensordot(order, views.sort(0).values, dims=1).mean(-1)  # (*, B)
    elif distance == "l2":
        pairs = count * (views - views.mean(0)).square().sum(0).mean(-1)
    else:
        unit = F.normalize(views, dim=-1)
        pairs = count / 2 * (unit - unit.mean(0)).square().sum((0, -1))
    return row_mean(pairs, present) * (2 / (count * (count - 1)))


@full_precision
def mean_divergence(logits: Tensor, present: Tensor) -> Tensor:
    """Mean over ordered pairs of views of KL(p_i ‖ p_j) between the class probabilities of a row ("kl").

    Σ_{i≠j} KL(p_i ‖ p_j) = K Σ_i ⟨p_i − p̄, log p_i − mean_j log p_j⟩. For predicted numbers the counterpart is "l2": the
    divergence of two Gaussians of variance ½, whose −log density is the squared error, is (a − b)².

    Args:
        logits: (K, *, B, C), one view per environment.
        present: (*, B) bool; the other rows do not count.

    Returns:
        (*) non-negative, in nats; 0 for K = 1 and where no row is present.
    """
    count = len(logits)
    if count < 2:
        return logits.new_zeros(logits.shape[1:-2])
    logs = F.log_softmax(logits, dim=-1)
    probabilities = logs.exp()
    pairs = ((probabilities - probabilities.mean(0)) * (logs - logs.mean(0))).sum((0, -1))
    return row_mean(pairs, present) / (count - 1)
