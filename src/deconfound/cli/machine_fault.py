"""Errors of the machine and not of the program: files that cannot be used, and memory that is not there."""

from __future__ import annotations

from deconfound.io.reading import shown


def machine_fault(error: Exception) -> str | None:
    """One line about an error that the user can do something about; None for a fault of the program."""
    if isinstance(error, OSError) and error.filename is not None:
        path = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else str(error.filename)
        return f"cannot use {shown(path)}: {error.strerror}; name a path that you may read and write"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return f"{str(error)[:300]}: these links point at each other; remove one"
    no_memory = "allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and no_memory):
        return "there is not enough memory; use fewer rows, a smaller batch_size, smaller layers or a larger machine"
    return None
