"""Files and folders that exist whole or not at all, and names for them.

What is half written lies in a scratch beside what it will become, and what a killed process left is swept up by the next
call. A writer holds a `flock` lock on its scratch while it writes. The system frees the lock when the process ends, however
it ends, so a scratch that can be locked belongs to nobody. A file system without locks keeps what was left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from deconfound.errors import RunError

_MARKUP = re.compile("[<>&\x7f\u2028\u2029]")

_RANDOM = 8
"""Random characters that `tempfile` puts at the end of a name."""


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file under a scratch name that becomes `path` when the block succeeds and is gone when it does not.

    What an earlier call for the same path left when it was killed is removed.
    A device or a pipe (`/dev/stdout`) is written directly. Missing folders are made; a link goes on pointing as it did.

    Args:
        mode: "w" for UTF-8 text with the line ends that are written, "wb" for bytes.

    Raises:
        RunError: the file cannot be written; what was there before is then still there.
    """
    path = Path(path)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        if path.exists() and not path.is_file():
            with open(path, mode, **text) as file:
                yield file
            return
        goal = Path(os.path.realpath(path))  # unlike `Path.resolve`, no error for links that point at each other
        with scratch_file(goal) as scratch:
            with open(scratch, mode, **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            scratch.chmod(0o644)
            os.replace(scratch, goal)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"cannot write {path}: {reason}; choose a place with room that you may write to") from error


def write_json(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON with `atomic_write`, keys in their order; it runs nothing if it is read as HTML.

    Raises:
        RunError: the file cannot be written.
    """
    with atomic_write(path) as file:
        file.write(json_text(values, indent=1))


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False, allow_nan: bool = True) -> str:
    """JSON in ASCII that means nothing to HTML: `<`, `>`, `&`, U+2028 and U+2029 are escaped."""
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=allow_nan)
    return _MARKUP.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)


def file_stem(name: str) -> str:
    """A file name for a scenario: its name where that is harmless, else made harmless, with eight digits of SHA-256."""
    safe = re.sub(r"[^a-z0-9._=+-]", "_", name.lower())[:80].lstrip(".-") or "_"
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


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


def claim_folder(folder: Path, kind: str, marker: str, ignored: Collection[str] = ()) -> None:
    """Make `folder`, or check that it is empty or belongs to an earlier call of the same kind.

    Args:
        folder: output folder; missing parents are made too.
        kind, marker, ignored: as for `check_folder`.

    Raises:
        RunError: the folder holds other files, or cannot be made or listed.
    """
    make_folder(folder)
    check_folder(folder, kind, marker, ignored)


def make_folder(folder: Path) -> None:
    """Make `folder` and missing parents.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}; choose a folder you may write to") from error


def check_folder(folder: Path, kind: str, marker: str, ignored: Collection[str] = ()) -> None:
    """Check that `folder` does not exist, is empty, or belongs to an earlier call of the same kind; write nothing.

    Args:
        folder: output folder.
        kind: what the folder is to hold, for the error: "run", "sweep", "tuning".
        marker: file that a folder of this kind holds.
        ignored: names of files that do not count; names that begin with a dot, such as lock files, never do.

    Raises:
        RunError: the folder holds other files, or cannot be listed.
    """
    try:
        names = [entry.name for entry in folder.iterdir() if entry.name[0] != "." and entry.name not in ignored]
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror}; choose a folder you may write to") from error
    if names and marker not in names:
        raise RunError(f"{folder} is not empty and not a {kind} (it holds {names[0]!r}); choose another folder")
