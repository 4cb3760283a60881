"""The optimiser of a run: AdamW, in one kernel per step where the device has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Types of devices for which PyTorch updates all weights of AdamW in one kernel."""


def adamw(groups: Sequence[dict[str, Any]], *, rate: float, decay: float, fused: bool = True) -> torch.optim.AdamW:
    """AdamW over groups of parameters, fused if all parameters are real floats on devices of `FUSED_DEVICES`.

    Args:
        groups: as `torch.optim` takes them, each with a list "params"; a group's own "lr" and "weight_decay" win.
        rate: learning rate.
        decay: weight decay.
        fused: False for the plain updates, which mixed precision needs: clipping comes after a step's gradients are unscaled.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    fits = all(p.is_floating_point() and p.device.type in FUSED_DEVICES for p in parameters)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True if fused and fits else None)
