"""Computational sequences of the CMU Multimodal SDK: HDF5 files of features with the time of each, read with care."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.errors import DataError

_MOST_EXPANSION, _ALWAYS_FITS = 50, 1 << 26
"""Bytes of the arrays per byte of the file, and bytes that are always read: HDF5 can announce terabytes in a few bytes."""


@dataclass(frozen=True, eq=False)
class Timed:
    """The features of one key of a computational sequence.

    Args:
        features: (n, D) numbers, or (n,) words.
        intervals: (n, 2) begin and end in seconds.
    """

    features: np.ndarray
    intervals: np.ndarray

    def within(self, begin: float, end: float) -> np.ndarray:
        """The features whose middle lies in [begin, end)."""
        middle = self.intervals.mean(axis=1)
        return self.features[(middle >= begin) & (middle < end)]


def read_sequence(path: Path) -> dict[str, Timed]:
    """Key, such as a video or `video[4]` → its features.

    Raises:
        DataError: h5py is not installed, the file is damaged or of another layout, it links to other files, or its arrays
            are far larger than the file.
    """
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        raise DataError(f"{path}: reading a .csd file needs h5py; pip install 'deconfound[csd]'") from error
    try:
        with h5py.File(path, "r") as file:
            root = _member(file, next(iter(file), ""), path, h5py)
            data = _member(root, "data", path, h5py)
            budget = _MOST_EXPANSION * path.stat().st_size + _ALWAYS_FITS
            sequence: dict[str, Timed] = {}
            for key in data:
                sequence[key] = _timed(_member(data, key, path, h5py), f"{path}: {key[:40]!r}", budget, h5py)
                budget -= sequence[key].features.nbytes
            return sequence
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"cannot read {path}: it is no HDF5 file of a computational sequence, or damaged; download it again"
        ) from error


def _timed(group: Any, where: str, budget: int, h5py: Any) -> Timed:
    features, intervals = (_array(group, name, where, budget, h5py) for name in ("features", "intervals"))
    count = len(features) if features.ndim else -1
    if intervals.dtype.kind not in "fiu" or intervals.shape != (count, 2):
        raise DataError(f"{where}: intervals are {intervals.dtype} {intervals.shape}; expected begin and end of each")
    if features.dtype.kind in "SUO":
        return Timed(np.array([_word(word) for word in features.reshape(-1)], dtype=object), intervals)
    if features.dtype.kind not in "fiu" or features.ndim != 2:
        raise DataError(
            f"{where}: features are {features.dtype} {features.shape}; expected numbers (n, D) or words (n, 1)"
        )
    return Timed(features, intervals)


def _array(group: Any, name: str, where: str, budget: int, h5py: Any) -> np.ndarray:
    dataset = _member(group, name, where, h5py)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise DataError(f"{where}: {name!r} is no array in this file; nothing outside of it is read")
    if dataset.nbytes > budget:
        raise DataError(
            f"{where}: {name!r} announces {dataset.nbytes} bytes, far more than the file holds; download it again"
        )
    return np.asarray(dataset[()])


def _member(group: Any, name: str, where: object, h5py: Any) -> Any:
    """A member of a group that lies in the same file."""
    link = group.get(name, getlink=True) if isinstance(group, h5py.Group) and name else None
    if link is None:
        raise DataError(f"{where} has no {name or 'content'!r}; expected ROOT/data/KEY/features and intervals")
    if not isinstance(link, h5py.HardLink):
        raise DataError(f"{where}: {name!r} is a link; nothing outside of the file is read")
    return group[name]


def _word(word: object) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
