"""Raw samples of a modality: what kind they are of, and the bytes that stand for them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.errors import DataError
from deconfound.extraction.kinds import KINDS, RawKind, kind_of_bytes, kind_of_name

MOST_BYTES = 1 << 30
"""Largest file that is read."""
MOST_CHARACTERS = 1 << 20
"""Characters of a text that are read; the rest is cut off."""


class SampleError(Exception):
    """One sample cannot be read; its row has no such modality."""


@dataclass(frozen=True)
class RawColumn:
    """N raw samples of one modality.

    Args:
        kind: what the samples are.
        samples: N texts, or paths relative to `folder`, or the bytes of files; in memory also (H, W, 3) uint8 images and
            (float samples, rate in Hz) recordings. None where a row has none.
        folder: the folder that paths stay in; None takes paths as they are.
        extractor: name and arguments of the extractor; None for the default of the kind.
    """

    kind: RawKind
    samples: Sequence[Any]
    folder: Path | None = None
    extractor: dict[str, Any] | None = None

    def source(self, row: int) -> Any:
        """The text, path, bytes or array of a row that has one.

        Raises:
            DataError: a path that leaves the folder.
        """
        sample = self.samples[row]
        if self.kind == "text" or not isinstance(sample, str | Path):
            return sample
        return Path(sample) if self.folder is None else _inside(self.folder, str(sample))


def kind_of(samples: Sequence[Any], what: str) -> RawKind:
    """The kind of samples: files if all end, or begin in bytes, like files of one kind, else texts.

    Raises:
        DataError: no sample, or files of several kinds.
    """
    present = [sample for sample in samples if sample is not None]
    if not present:
        raise DataError(f"{what}: no row has a value; name the kind: {', '.join(KINDS)}")
    kinds: Counter[RawKind] = Counter(_kind(sample) for sample in present)
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds["text"] > len(present) / 2:
        return "text"
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    raise DataError(f'{what} mixes kinds ({counts}); name one with kind = "image", or make a column for each')


def _kind(sample: object) -> RawKind:
    return (kind_of_bytes(sample) if isinstance(sample, bytes) else kind_of_name(str(sample))) or "text"


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"{name!r} points outside {folder}; keep the files in the folder, or name theirs with folder")
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of links
        raise SampleError(f"cannot be read ({error})") from error
    if not inside:
        raise DataError(f"{name!r} is a link that leads out of {folder}; name the folder that holds the files")
    return path


def content_key(source: Any) -> bytes:
    """(32,) SHA-256 of a text, the bytes of a file, whether they are in memory or not, or an array.

    Raises:
        SampleError: the file is missing, unreadable or too large.
    """
    if isinstance(source, str):
        return hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    if isinstance(source, Path):
        try:
            if not source.is_file():
                raise SampleError("is not there: no such file")
            if source.stat().st_size > MOST_BYTES:
                raise SampleError(f"has more than {MOST_BYTES} bytes")
            with open(source, "rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise SampleError(f"cannot be read: {error.strerror or error}") from error
    array, rate = source if isinstance(source, tuple) else (source, 0)
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype} {array.shape} {rate}".encode() + array.tobytes()).digest()
