"""The number of CPU threads that PyTorch uses, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use `count` CPU threads inside the block, and as many as before after it.

    Args:
        count: at least 1; None changes nothing.
    """
    import torch  # here, so that the rooms that only read and write files load without it

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
