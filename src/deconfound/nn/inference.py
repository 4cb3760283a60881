"""Applying a module to batches in eval mode and without gradients; methods and backbones share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from deconfound.data.signal import Batch
from deconfound.errors import SpecError
from deconfound.nn.layers import in_eval_mode

Result = TypeVar("Result")


def usable_device(device: str | torch.device) -> torch.device:
    """The device, if this machine computes on it.

    Raises:
        SpecError: no such device.
    """
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).cpu()  # a device without numbers, "meta", fails here
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0][:160]
        raise SpecError(
            f"the device {str(device)!r} is not available here ({reason}); use 'cpu', or 'cuda' where PyTorch has a GPU"
        ) from error
    return chosen


@contextmanager
def evaluating(module: nn.Module, device: str | torch.device | None = None) -> Iterator[None]:
    """The module in eval mode on a device and without gradients; afterwards it is as it was.

    Args:
        device: None leaves the module where it is.

    Raises:
        SpecError: no such device.
    """
    device = None if device is None else usable_device(device)
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
