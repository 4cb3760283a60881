"""Statistics over the rows in which a modality is present. Leading axes (such as one for modalities) are kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

import torch
from torch import Tensor

_P = ParamSpec("_P")
_HALF = (torch.float16, torch.bfloat16)


def full_precision(objective: Callable[Concatenate[Tensor, _P], Tensor]) -> Callable[Concatenate[Tensor, _P], Tensor]:
    """Decorator: compute in float32 from half-precision arguments, also inside an autocast region.

    Sums over many rows leave the range of float16 (B² for collinear rows) and the digits of bfloat16.
    """

    @wraps(objective)
    def computed(first: Tensor, *args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        operands: tuple[Any, ...] = (first, *args)
        wide = [a.float() if isinstance(a, Tensor) and a.dtype in _HALF else a for a in operands]
        with torch.autocast(first.device.type, enabled=False):
            return cast("Callable[..., Tensor]", objective)(*wide, **kwargs)

    return computed


def row_mean(values: Tensor, present: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the present rows: (*, B) values and (*, B) bool → (*); 0 where no row is present.

    Args:
        weight: (B,) of at least 0, or None where all rows count alike; the mean is 0 where all weights are.
    """
    share = present.to(values.dtype)
    if weight is None:
        return (values * share).sum(-1) / share.sum(-1).clamp(min=1)
    share = share * weight.to(values.dtype)
    return (values * share).sum(-1) / share.sum(-1).clamp(min=torch.finfo(values.dtype).tiny)


def risk_mean(risks: Tensor, present: Tensor, weight: Tensor | None) -> Tensor:
    """As `row_mean`, times the mean weight of the batch, so that batches of heavy rows count for more.

    With every row present it is the mean of risk times weight, as `Batch.mean`.
    """
    mean = row_mean(risks, present, weight)
    return mean if weight is None else mean * weight.to(risks.dtype).mean()


def row_moments(values: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (dividing by n) of each column over the present rows.

    Args:
        values: (*, B, D).
        present: (*, B) bool.

    Returns:
        (*, 1, D) mean, (*, B, D) values minus the mean, 0 in absent rows, and (*, 1, D) variance; all 0 without rows.
    """
    weight = present.to(values.dtype).unsqueeze(-1)
    count = weight.sum(-2, keepdim=True).clamp(min=1)
    mean = (values * weight).sum(-2, keepdim=True) / count
    centred = (values - mean) * weight
    return mean, centred, centred.square().sum(-2, keepdim=True) / count
