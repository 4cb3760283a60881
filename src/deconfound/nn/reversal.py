"""Gradient reversal (Ganin & Lempitsky, ICML 2015)."""

from __future__ import annotations

from torch import Tensor


def reverse_gradient(values: Tensor) -> Tensor:
    """The values as they are; what flows back through them changes its sign.

    2 x − x is x exactly in floating point, and only the second x has a gradient.
    """
    return 2 * values.detach() - values
