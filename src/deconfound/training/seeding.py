"""Seeds of PyTorch's default generators."""

from __future__ import annotations

import torch


def seed_default_generators(seed: int, device: torch.device) -> None:
    """Seed the default generators of the CPU and of one accelerator, from which dropout draws there.

    `torch.manual_seed` seeds every kind of accelerator, and keeps a call with its stack trace for each that is not in use.

    Args:
        device: on an accelerator of several, the one in use.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
