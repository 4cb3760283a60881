"""Files that exist whole or not at all, and names for them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deconfound.errors import RunError
from deconfound.io.html import json_text
from deconfound.io.scratch import scratch_file


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


def file_stem(name: str) -> str:
    """A file name for a scenario: its name where that is harmless, else made harmless, with eight digits of SHA-256."""
    safe = re.sub(r"[^a-z0-9._=+-]", "_", name.lower())[:80].lstrip(".-") or "_"
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
