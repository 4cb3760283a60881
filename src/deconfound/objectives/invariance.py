"""How far the representations of one row under K environments lie apart, without a tensor of K² pairs.

Every distance is a mean over the pairs of environments, over the dimensions (L1, L2) and over the present rows, or the sum
over all of them. So rows, dimensions and environments that are drawn like those that are there do not change the
expectation of the mean. Environments that are noisier than those that are there do: with noise of strength e · α1 it grows
with K, by `nn.environments.Environments.mean_gap`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.reconstruction import Reduction
from deconfound.objectives.rows import full_precision, row_mean

Distance = Literal["l1", "l2", "cosine"]


@full_precision
def invariance(views: Tensor, present: Tensor, distance: Distance, reduction: Reduction = "mean") -> Tensor:
    """Distance between the views of a row.

    Sorted over the environments, Σ_{i<j} |x_i − x_j| = Σ_k (2k − K − 1) x_(k). For squares, Σ_{i<j} (x_i − x_j)² =
    K Σ_k (x_k − x̄)², which does not cancel as K Σ x² − (Σ x)² does. For unit vectors 1 − cos is half the squared
    distance.

    Args:
        views: (K, *, B, D) representations, one per environment.
        present: (*, B) bool; the other rows do not count.
        distance: "l1" |x − y|, "l2" (x − y)², "cosine" 1 − cos(x, y).
        reduction: the mean over pairs, dimensions and present rows, or the sum over all three.

    Returns:
        (*) non-negative; 0 for K = 1, which has no pair, and where no row is present.
    """
    count = len(views)
    if count < 2:
        return views.new_zeros(views.shape[1:-2])
    if distance == "l1":
        order = torch.arange(1 - count, count, 2, device=views.device, dtype=views.dtype)
        pairs = torch.tensordot(order, views.sort(0).values, dims=1)  # (*, B, D)
    elif distance == "l2":
        pairs = count * (views - views.mean(0)).square().sum(0)
    else:
        unit = F.normalize(views, dim=-1)
        pairs = count / 2 * (unit - unit.mean(0)).square().sum((0, -1)).unsqueeze(-1)
    return _reduced(pairs, present, count, reduction)


def _reduced(pairs: Tensor, present: Tensor, count: int, reduction: Reduction) -> Tensor:
    """(*, B, D) sums over the pairs of `count` views → (*)."""
    if reduction == "sum":
        return (pairs.sum(-1) * present).sum(-1)
    return row_mean(pairs.mean(-1), present) * (2 / (count * (count - 1)))


@full_precision
def divergence(logits: Tensor, present: Tensor, reduction: Reduction = "mean") -> Tensor:
    """KL(p_i ‖ p_j) between the class probabilities of two views of a row, both orders averaged ("kl").

    Σ_{i≠j} KL(p_i ‖ p_j) = K Σ_i ⟨p_i − p̄, log p_i − mean_j log p_j⟩. For predicted numbers the counterpart is "l2": the
    divergence of two Gaussians of variance ½, whose −log density is the squared error, is (a − b)².

    Args:
        logits: (K, *, B, C), one view per environment.
        present: (*, B) bool; the other rows do not count.
        reduction: the mean over pairs of views and present rows, or the sum over both.

    Returns:
        (*) non-negative, in nats; 0 for K = 1 and where no row is present.
    """
    count = len(logits)
    if count < 2:
        return logits.new_zeros(logits.shape[1:-2])
    logs = F.log_softmax(logits, dim=-1)
    probabilities = logs.exp()
    pairs = count / 2 * ((probabilities - probabilities.mean(0)) * (logs - logs.mean(0))).sum((0, -1), keepdim=True)
    return _reduced(pairs.squeeze(0), present, count, reduction)
