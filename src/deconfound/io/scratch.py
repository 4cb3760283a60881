"""Scratch files and folders beside what they will become; what a killed process left is swept up by the next call.

A writer holds a `flock` lock on its scratch while it writes. The system frees the lock when the process ends, however it
ends, so a scratch that can be locked belongs to nobody. A file system without locks keeps what was left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_RANDOM = 8
"""Random characters that `tempfile` puts at the end of a name."""


@contextmanager
def scratch_file(goal: Path) -> Iterator[Path]:
    """An empty file beside `goal`, locked and removed at the end if it is still there.

    Raises:
        OSError: it cannot be made.
    """
    with _locked(goal, _new_file) as scratch:
        yield scratch


@contextmanager
def scratch_folder(goal: Path) -> Iterator[Path]:
    """An empty folder beside `goal`, locked and removed at the end if it is still there.

    Raises:
        OSError: it cannot be made.
    """
    with _locked(goal, lambda prefix, parent: tempfile.mkdtemp(prefix=prefix, dir=parent)) as scratch:
        yield scratch


@contextmanager
def _locked(goal: Path, make: Callable[[str, Path], str]) -> Iterator[Path]:
    goal.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{goal.name[:64]}.partial-"
    _sweep(goal.parent, prefix)
    while True:
        scratch = Path(make(prefix, goal.parent))
        handle = _lock(scratch, wait=True)
        if handle is not None:  # else another process swept it up before it was locked
            break
    try:
        yield scratch
    finally:
        _remove(scratch)
        os.close(handle)


def _new_file(prefix: str, parent: Path) -> str:
    handle, name = tempfile.mkstemp(prefix=prefix, dir=parent)
    os.close(handle)
    return name


def _sweep(parent: Path, prefix: str) -> None:
    length = len(prefix) + _RANDOM
    left = [entry for entry in parent.iterdir() if entry.name.startswith(prefix) and len(entry.name) == length]
    for scratch in left:
        with suppress(OSError):  # no rights or no locks; it stays
            handle = _lock(scratch, wait=False)
            if handle is not None:
                _remove(scratch)
                os.close(handle)


def _lock(scratch: Path, wait: bool) -> int | None:
    """A handle that holds the lock, or None if the scratch is gone or, without `wait`, another process holds it."""
    try:
        handle = os.open(scratch, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        if wait:
            return handle  # a file system without locks
        os.close(handle)
        return None
    with suppress(FileNotFoundError):
        if os.path.samestat(scratch.stat(), os.fstat(handle)):
            return handle
    os.close(handle)
    return None


def _remove(scratch: Path) -> None:
    if scratch.is_dir():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        scratch.unlink(missing_ok=True)
