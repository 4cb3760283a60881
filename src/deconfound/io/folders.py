"""Output folders: a new or empty folder is taken, a folder with other people's files is not."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from deconfound.errors import RunError


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
