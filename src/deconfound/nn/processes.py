"""Agreement between processes that train together, for methods that change gradients after they were averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor
from torch import distributed as together

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of equally shaped tensors of all processes; `values` itself where one process trains."""
    if not (together.is_available() and together.is_initialized()):
        return values
    total = values.clone()
    together.all_reduce(total)
    return total / together.get_world_size()


def whole(gradient: Tensor) -> Tensor:
    """A gradient in full; `gradient` itself where it is not parted among the processes."""
    return gradient.full_tensor() if _parted(gradient) else gradient


def parted_like(values: Tensor, gradient: Tensor) -> Tensor:
    """Values that are equal in all processes, parted as the gradient of the same shape is."""
    if not _parted(gradient):
        return values
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(values, gradient.device_mesh, gradient.placements)


def _parted(gradient: Tensor) -> TypeGuard[DTensor]:
    if not (together.is_available() and together.is_initialized()):
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(gradient, DTensor)


def common_generator(generator: torch.Generator) -> torch.Generator:
    """A generator that gives all processes the numbers of the first one; `generator` itself where one process trains."""
    if not (together.is_available() and together.is_initialized()):
        return generator
    seed = torch.randint(2**31, (1,), generator=generator, device=generator.device)
    together.broadcast(seed, src=0)
    return torch.Generator(generator.device).manual_seed(int(seed))
