"""File locks: one process at a time works on what a lock file stands for.

All locks are `flock` locks of the package `filelock`. The system frees a lock when its process ends, however it ends, so a
killed process leaves nothing to clean up. The empty lock file may stay; its name begins with a dot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from deconfound.errors import RunError

_POLL_SECONDS = 0.05


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock `folder` while the block runs.

    Raises:
        RunError: another process holds the lock, or the folder cannot be written.
    """
    with try_lock(folder / ".lock") as acquired:
        if not acquired:
            raise RunError(f"{folder} is being written by another process; wait or choose another folder")
        yield


@contextmanager
def try_lock(path: Path, timeout: float | None = 0.0) -> Iterator[bool]:
    """Hold the lock file `path` while the block runs, if the lock is free in time.

    Args:
        path: lock file; made if it does not exist.
        timeout: seconds to wait while another process holds the lock; 0 tries once, None waits as long as it takes.

    Returns:
        A context manager. Its value is False if another process kept the lock; the block then runs without it.

    Raises:
        RunError: the folder of the lock file cannot be written.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=-1 if timeout is None else timeout, poll_interval=_POLL_SECONDS)
        acquired = True
    except filelock.Timeout:
        acquired = False
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"cannot write {path.parent}: {reason}; choose a folder you may write to") from error
    try:
        yield acquired
    finally:
        lock.release()


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; wait as long as another process holds it.

    Raises:
        RunError: the folder of the lock file cannot be written.
    """
    with try_lock(path, timeout=None) as acquired:
        assert acquired, "a lock without a timeout is acquired"
        yield


def is_locked(path: Path) -> bool:
    """True while a process holds the lock file `path`. Nothing is written, so a reader's rights are enough."""
    import fcntl  # filelock has no shared lock: two readers would take each other for the holder

    try:
        with open(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
