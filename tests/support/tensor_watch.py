"""The size of the largest tensor that an operation makes."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [part.numel() for part in tree_iter(made) if isinstance(part, torch.Tensor)]
        self.largest = max([self.largest, *sizes])
        return made


def largest_tensor(run: Callable[[], object]) -> int:
    """Number of elements of the largest tensor that any operation inside returns, backward included."""
    with Watch() as watch:
        run()
    assert watch.largest > 0
    return watch.largest
