"""Holding a folder against a second process that would write into it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deconfound.errors import RunError


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` while the block runs; the system frees it when the process ends, however it ends.

    Raises:
        RunError: another process holds it, or it cannot be written.
    """
    try:
        handle = open(folder / ".lock", "w")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}; choose a folder you may write to") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{folder} is being written by another process; wait or choose another folder") from error
        yield
