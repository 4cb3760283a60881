"""Two gradients joined into one step that harms neither."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pareto_coefficients(
    first: Sequence[Tensor], second: Sequence[Tensor], rescale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """MMPareto's combination of the gradients of two losses (Wei & Hu, ICML 2024).

    Where they agree (inner product ≥ 0) the step is their sum. Where they conflict it is twice the shortest vector between
    them, whose inner product with both is the same and non-negative, made as long as their sum. Both are
    multiplied by `rescale`.

    Args:
        first, second: gradients of the same parameters, any shapes, in the same order.
        rescale: γ ≥ 0, 1.5 in the authors' code.

    Returns:
        () a, () b and () cosine: the step is a · first + b · second; the cosine is 0 where one of them is.
    """
    a, b = (torch.cat([part.flatten().float() for part in parts]) for parts in (first, second))
    aa, ab, bb = (a * a).sum(), (a * b).sum(), (b * b).sum()  # sums stay in float32 under autocast, products do not
    share = torch.where(ab < 0, (bb - ab) / (aa - 2 * ab + bb).clamp(min=torch.finfo(a.dtype).tiny), 0.5)
    step = 2 * share * a + 2 * (1 - share) * b
    length, wanted = step.norm(), (a + b).norm()
    longer = torch.where(length > 0, wanted / length.clamp(min=torch.finfo(a.dtype).tiny), 1).clamp(min=1)
    cosine = ab / (aa * bb).sqrt().clamp(min=torch.finfo(a.dtype).tiny)
    return 2 * rescale * longer * share, 2 * rescale * longer * (1 - share), cosine
