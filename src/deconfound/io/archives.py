"""Opening `.npz` archives: a size that does not fit into memory is refused before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.io.limits import ARRAYS, check_size
from deconfound.io.reading import FileKind, reading, shown

_PACKED = 4
"""Times its own size that a file may unpack to, whatever the limit: arrays of numbers rarely pack better."""


@contextmanager
def open_archive(path: str | Path, kind: FileKind) -> Iterator[Any]:
    """A `.npz` while the block runs: name → array, never unpickled.

    Raises:
        DeconfoundError: of the type of `kind`: not such an archive, damaged, or larger than the limit once unpacked.
    """
    with reading(path, kind), open(path, "rb") as file:
        size = file.seek(0, 2)
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _PACKED * size:
            check_size(shown(path), unpacked, ARRAYS, kind.error, "unpacks to")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays


def member_names(path: str | Path, kind: FileKind) -> list[str]:
    """Names of the arrays in a `.npz`.

    Raises:
        DeconfoundError: of the type of `kind`: not such an archive, or damaged.
    """
    with reading(path, kind), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]
