"""What processes that train together must agree on when a method changes gradients after they were averaged."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as together


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of equally shaped tensors of all processes; `values` itself where one process trains."""
    if not (together.is_available() and together.is_initialized()):
        return values
    total = values.clone()
    together.all_reduce(total)
    return total / together.get_world_size()


def common_generator(generator: torch.Generator) -> torch.Generator:
    """A generator that gives all processes the numbers of the first one; `generator` itself where one process trains."""
    if not (together.is_available() and together.is_initialized()):
        return generator
    seed = torch.randint(2**31, (1,), generator=generator, device=generator.device)
    together.broadcast(seed, src=0)
    return torch.Generator(generator.device).manual_seed(int(seed))
