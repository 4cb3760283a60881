"""The gradient penalty of invariant risk minimisation (Arjovsky et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deconfound.objectives.risks import members
from deconfound.objectives.rows import full_precision, row_mean

Risk = Callable[[Tensor, Tensor], Tensor]


@full_precision
def gradient_penalty(
    output: Tensor, target: Tensor, env: Tensor, risk: Risk, halves: bool, weight: Tensor | None = None
) -> Tensor:
    """Mean over the environments of (∂R_e(w · output) / ∂w at w = 1)²: IRMv1 (their eq. 4) with one w for all outputs.

    Args:
        output: (B, outputs) predictions or logits.
        target: (B,).
        env: (B,) environment numbers.
        risk: (B, outputs), (B,) → (B,) per-row risk, such as `Task.risk`.
        halves: multiply the derivatives on two halves of each environment, its odd and its even rows, instead of squaring
            that on all: without bias, but it may be negative. An environment with one row does not count.
        weight: (B,) of the rows; None where all count alike.

    Returns:
        ().
    """
    slopes, rows = risk_slopes(output, target, risk), members(env)[1]
    if not halves:
        return row_mean(slopes, rows, weight).square().mean()
    odd = rows.cumsum(1) % 2 == 1
    first, second = row_mean(slopes, rows & odd, weight), row_mean(slopes, rows & ~odd, weight)
    return row_mean(first * second, (rows & ~odd).any(1))


def risk_slopes(output: Tensor, target: Tensor, risk: Risk) -> Tensor:
    """(B,) derivative of each row's risk by a factor of its output, at 1; can be differentiated again."""
    with torch.enable_grad():
        factor = torch.ones_like(output[:, :1]).requires_grad_()
        total = risk(output * factor, target).sum()  # a row's factor reaches its own risk alone
        return torch.autograd.grad(total, factor, create_graph=True)[0].squeeze(1)
