"""The exit code of a command, and the one line that says why it is not 0; loads nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from deconfound.cli.machine_fault import machine_fault
from deconfound.cli.streams import flush_streams, silence
from deconfound.errors import DeconfoundError

MISTAKE, BUG, INTERRUPTED, CLOSED_PIPE = 2, 1, 130, 141
"""Exit codes: what the user can mend, what we must mend, Ctrl-C, and a reader of standard output that went away, as `head`."""


_INTERRUPTED = "interrupted; call train, sweep, tune or demo again to resume"

_signals: list[int] = []
"""SIGINT, once for each time it came; see `note_interrupts`."""


def note_interrupts() -> None:
    """Remember each Ctrl-C of this process, so that an error that it causes is not taken for a bug."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note)


def _note(number: int, _frame: object) -> None:
    _signals.append(number)
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Whether Ctrl-C came; see `note_interrupts`."""
    return bool(_signals)


def exit_code(command: Callable[[], Any], debug: bool) -> int:
    """Run a command and report what it raises.

    Args:
        command: returns 130 where its framework caught Ctrl-C itself.
        debug: print the traceback too.
    """
    try:
        result = command()
        flush_streams()
        return interrupted() if result == INTERRUPTED else 0
    except KeyboardInterrupt:
        return interrupted()
    except DeconfoundError as error:
        return _report(error, " ".join(str(error).split()), MISTAKE, debug)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # the framework's answer to one
            return _closed_pipe()
        return error.code if isinstance(error.code, int) else BUG
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as error:
        if was_interrupted():  # an import may raise another error when it is interrupted
            return interrupted()
        fault = machine_fault(error)
        if fault is not None:
            return _report(error, fault, MISTAKE, debug)
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            silence(sys.stdout)
            reason = f"cannot write standard output: {os.strerror(error.errno)}; send it to a place with room"
            return _report(error, reason, MISTAKE, debug)
        reason = f"this is a bug in deconfound ({type(error).__name__}: {error}); run with --debug"
        return _report(error, reason, BUG, debug)


def interrupted() -> int:
    """Report Ctrl-C; a second one meanwhile does not report it again."""
    if threading.current_thread() is not threading.main_thread():  # which alone may change what a signal does
        return print_reason(_INTERRUPTED, INTERRUPTED)
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return print_reason(_INTERRUPTED, INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, former)


def print_reason(message: str, code: int) -> int:
    """Print one line on standard error.

    Returns:
        `code`.
    """
    try:
        print(f"deconfound: {message}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)
    return code


def _report(error: Exception, message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    return print_reason(message, code)


def _closed_pipe() -> int:
    silence(sys.stdout)
    return CLOSED_PIPE
