"""The front-door average: what f says of (z, x', a) when x' is not the row's own but drawn from all rows.

    product       Σ_j ω_j f(z_i, x'_j, a_j)      x' and a drawn together, the row's own a ignored
    conditional   Σ_j ω_j f(z_i, x'_j, a_i)      its own a; ω from a alone, never from x
    geometric     f(z_i, Σ_j ω_j x'_j, a_i)      the average moved inside: exact for outputs that are linear in x'
    dictionary    as conditional, over centres weighted by their mass

The average is of probabilities for a classification and of predictions for a regression. Every function takes

    f         broadcasting (…, Z), (…, X), (…, A) → (…, outputs) logits or predictions
    z, a      (B, Z), (B, A) of the rows
    xs, others  (J, X), (J, A) of the draws
    weights   (J,) or (B, J), non-negative, each row sums to 1

and returns (B, outputs): log-probabilities or predictions (`geometric`: what f returns).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.objectives.rows import full_precision

Head = Literal["mc-product", "mc-cond", "nwgm", "dictionary"]
Outcome = Callable[[Tensor, Tensor, Tensor], Tensor]


@full_precision
def mixture(outputs: Tensor, weights: Tensor, classification: bool) -> Tensor:
    """Weighted mean of J distributions or predictions: (B, J, outputs), (J,) or (B, J) → (B, outputs).

    For a classification the inputs are logits and the result is log Σ_j ω_j softmax(·), finite for ω_j = 0.
    """
    weights = weights.expand(outputs.shape[:2])
    if not classification:
        return torch.einsum("bjo,bj->bo", outputs, weights)
    logs = weights.clamp(min=torch.finfo(weights.dtype).tiny).log()
    return torch.logsumexp(outputs.log_softmax(2) + logs.unsqueeze(2), 1)


def product(f: Outcome, z: Tensor, xs: Tensor, others: Tensor, weights: Tensor, classification: bool) -> Tensor:
    """Σ_j ω_j f(z_i, x'_j, a_j)."""
    return mixture(f(z.unsqueeze(1), xs.unsqueeze(0), others.unsqueeze(0)), weights, classification)


def conditional(f: Outcome, z: Tensor, a: Tensor, xs: Tensor, weights: Tensor, classification: bool) -> Tensor:
    """Σ_j ω_j f(z_i, x'_j, a_i)."""
    return mixture(f(z.unsqueeze(1), xs.unsqueeze(0), a.unsqueeze(1)), weights, classification)


def geometric(f: Outcome, z: Tensor, a: Tensor, xs: Tensor, weights: Tensor) -> Tensor:
    """f(z_i, Σ_j ω_j x'_j, a_i): the normalised weighted geometric mean, one evaluation per row."""
    return f(z, weights.expand(len(z), len(xs)) @ xs, a)


def dictionary(f: Outcome, z: Tensor, a: Tensor, centres: Tensor, mass: Tensor, classification: bool) -> Tensor:
    """Σ_k m_k f(z_i, c_k, a_i) over (K, X) centres of the predominant features with shares (K,) of the rows."""
    return conditional(f, z, a, centres, mass / mass.sum().clamp(min=1e-12), classification)


def uniform_weights(valid: Tensor) -> Tensor:
    """(J,) bool → (J,) equal weights of the valid draws; all 0 without one."""
    return valid.float() / valid.sum().clamp(min=1)


@full_precision
def similarity_weights(own: Tensor, others: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """ω_ij ∝ exp(cos(a_i, a_j) / τ): (B, A), (J, A), (J,) bool → (B, J), 0 for draws that are not valid."""
    logits = F.normalize(own, dim=1) @ F.normalize(others, dim=1).T / temperature
    return logits.masked_fill(~valid, -1e9).softmax(1) * valid


def blend(first: Tensor, second: Tensor, share: float, classification: bool) -> Tensor:
    """(1 − share) · first + share · second, of probabilities or predictions: (B, outputs) each → (B, outputs)."""
    pair = torch.stack([first, second], 1)
    return mixture(pair, pair.new_tensor([1 - share, share]), classification)
