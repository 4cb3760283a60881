"""Tensors whose values lie in a nameless file, so that the memory of a process does not grow with the rows it imports."""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deconfound.errors import DataError

IN_MEMORY = 1 << 25
"""Largest number of bytes that stay in memory."""
CHUNK = 1 << 24
"""Bytes that are read or written at once."""

_pages: dict[int, mmap.mmap] = {}
"""Address of a tensor's first value → the map of its file."""


def tensor_of_blocks(
    blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype, folder: Path | None
) -> Tensor:
    """One tensor of blocks of rows, written one after the other.

    Args:
        blocks: arrays (n, *F), whose n sum to the N of `shape`.
        shape: (N, *F).
        folder: holds the nameless file of a tensor of more than `IN_MEMORY` bytes; None keeps all in memory.

    Raises:
        DataError: the file cannot be written.
    """
    if folder is None or prod(shape) * dtype.itemsize <= IN_MEMORY:
        values = np.empty(shape, dtype=dtype)
        row = 0
        for block in blocks:
            values[row : row + len(block)] = block
            row += len(block)
        return torch.from_numpy(values)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:  # has no name: nothing stays behind after a kill
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=dtype).data)
            file.flush()
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise DataError(
            f"cannot keep {prod(shape) * dtype.itemsize / 1e9:.2g} GB of values in {folder}: {error.strerror}; make room, "
            "or name another folder in DECONFOUND_CACHE"
        ) from error
    tensor = torch.from_numpy(np.frombuffer(pages, dtype=dtype).reshape(shape))
    _pages[tensor.data_ptr()] = pages
    weakref.finalize(tensor, _pages.pop, tensor.data_ptr(), None)
    return tensor


def release(tensor: Tensor) -> None:
    """Let go of the memory of a tensor of `tensor_of_blocks`; its values are read again when used. Others are left alone."""
    pages = _pages.get(tensor.data_ptr())
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def byte_chunks(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor in the order of its values, about 16 MB at a time."""
    flat = tensor.contiguous().view(-1).view(torch.uint8)
    for start in range(0, len(flat), CHUNK):
        yield flat[start : start + CHUNK].numpy().data
        release(tensor)
