"""Standard streams that are closed or full, or cannot show a character; loads nothing."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


def prepare_streams() -> str | None:
    """Make the standard streams usable: what an output cannot show becomes an escape such as \\u2265, as JSON writes it.

    A closed standard input is empty, and what goes to a closed standard error is lost.

    Returns:
        the mistake, in one line, where standard output is closed; else None.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (open as long as the process)
    closed = sys.stdout is None
    if closed:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return "standard output is closed; send it to a file, or to /dev/null" if closed else None


def flush_streams() -> None:
    """Write what the standard outputs still hold.

    Raises:
        OSError: standard output cannot be written; what standard error holds is lost where that cannot be.
    """
    try:
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)
    sys.stdout.flush()


def silence(stream: TextIO) -> None:
    """Send a stream nowhere from now on, or Python would complain at its end about what it could not write."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
