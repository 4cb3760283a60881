"""Applying a module to batches in eval mode and without gradients; methods and backbones share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from deconfound.data.signal import Batch
from deconfound.nn.layers import in_eval_mode

Result = TypeVar("Result")


@contextmanager
def evaluating(module: nn.Module, device: str | torch.device | None = None) -> Iterator[None]:
    """The module in eval mode on a device and without gradients; afterwards it is as it was.

    Args:
        device: None leaves the module where it is.
    """
    home = next((parameter.device for parameter in module.parameters()), None)
    with in_eval_mode(module), torch.no_grad():
        if device is not None:
            module.to(device)
        try:
            yield
        finally:
            if device is not None and home is not None:
                module.to(home)


def apply_to_batches(
    module: nn.Module,
    batches: Iterable[Batch],
    compute: Callable[[Batch], Result],
    device: str | torch.device | None = None,
) -> list[Result]:
    """Results of `compute` for every batch, while the module is `evaluating`.

    Args:
        batches: drawn one at a time and moved to the device.
        compute: uses the module.
        device: None leaves the module where it is.
    """
    with evaluating(module, device):
        if device is None:
            device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        return [compute(batch.to(device)) for batch in batches]
