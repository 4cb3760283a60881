"""Limits of what is read: how large a file may be, on disk and unpacked, and how deep its values may nest.

A file may be small and need all memory there is: repeated values pack well. So sizes are checked before anything is unpacked.
One environment variable, `DECONFOUND_MOST_GB`, raises all limits of size together.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from deconfound.errors import DeconfoundError, SpecError

VARIABLE = "DECONFOUND_MOST_GB"
"""Environment variable: the most memory in GB (10⁹ bytes) that the content of one file may need."""

MOST_GB = 4.0
"""The most memory in GB where the variable is not set."""

DOCUMENT, LINES, ARRAYS = 1 / 16, 1 / 4, 1.0
"""Share of the most memory that a kind of file may have: documents of one value, files of lines, unpacked arrays."""

LEAST_CELLS = 1_000_000
"""Cells, rows times columns, that a table may always have."""

DEPTH = 64
"""Levels that the values of a JSON or TOML file may nest."""

LARGEST = 1e300
"""Largest size of a number that is averaged, so that sums stay finite."""

WIDEST = 65_536
"""Largest width of a layer, in units."""

MOST_NUMBERS = 10**9
"""Numbers in the training rows of a synthetic dataset."""

MOST_THREADS = 1024
"""CPU threads of a process."""

MOST_SEEDS, MOST_DRAWS, MOST_JOBS = 10_000, 100_000, 100_000
"""Seeds of a sweep or tuning, configurations of a method, and runs of a sweep."""

NAME_LENGTH = 255
"""Characters that an id, a name of a split, of a column, of a modality or of a class may have."""


def most_bytes(share: float = ARRAYS) -> int:
    """Bytes that a file may have.

    Args:
        share: `DOCUMENT`, `LINES` or `ARRAYS`.

    Raises:
        SpecError: the environment variable is not a number above 0.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        gigabytes = float(text) if text else MOST_GB
    except ValueError:
        gigabytes = math.nan
    if not 0 < gigabytes < 1e9:
        raise SpecError(
            f"{VARIABLE} = {text[:40]!r}: expected a number of GB above 0, such as {2 * MOST_GB:g}; correct it"
        )
    return int(share * gigabytes * 10**9)


def check_size(path: str | Path, size: int, share: float, error: type[DeconfoundError], state: str = "has") -> None:
    """Check the size of a file against its limit.

    Args:
        size: bytes that the file has or unpacks to.
        share: `DOCUMENT`, `LINES` or `ARRAYS`; infinity for a file that is mapped, not read.
        error: type of the error.
        state: verb of the message, such as "unpacks to".

    Raises:
        error: the file is larger than the limit.
    """
    if math.isinf(share):  # mapped into memory, so its size costs none
        return
    most = most_bytes(share)
    if size > most:
        raise error(f"{path} {state} {size} bytes, the limit is {most}; {raise_limit(size / most)}")


def check_cells(path: str | Path, rows: int, columns: int, size: int, error: type[DeconfoundError]) -> None:
    """Check the number of cells of a table: at most one for each byte of its file, which only a trick exceeds.

    Args:
        size: bytes of the file.
        error: type of the error.

    Raises:
        error: there are more cells, and more than `LEAST_CELLS`.
    """
    if rows * columns > max(LEAST_CELLS, size):
        raise error(
            f"{path} has {rows} rows and {columns} columns in {size} bytes, more cells than bytes; a table has the same "
            "columns in every row: write the features of a row as an array file"
        )


def raise_limit(factor: float) -> str:
    """What to do about a limit of size that a file exceeds by this factor."""
    needed = math.ceil(most_bytes() / 10**9 * max(1.0, factor))
    return f"raise it with {VARIABLE}={needed} if the file is meant to be that large"


def check_depth(value: object) -> None:
    """Check that lists and mappings nest at most `DEPTH` levels.

    Raises:
        ValueError: they nest deeper.
    """
    level = [value]
    for _ in range(DEPTH + 1):
        containers = [item for item in level if isinstance(item, dict | list)]
        if not containers:
            return
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
    raise ValueError(f"its values nest more than {DEPTH} levels deep")


NAME_RULE = f"names have at most {NAME_LENGTH} characters, all of them whole"


def is_name(text: str) -> bool:
    """True for a text that may name a row, split, column, modality or class: not too long, and UTF-8 can hold it."""
    return len(text) <= NAME_LENGTH and is_encodable(text)


def is_encodable(text: str) -> bool:
    """False for a text with half a character (a lone surrogate), which no UTF-8 file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
