"""Array files of a table: `.npy` and `.npz` inside one folder, memory-mapped if possible, never unpickled."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.signal import Signal
from deconfound.data.task import Kind
from deconfound.datasets.image_axes import turned
from deconfound.datasets.repair import Fitting, Repair
from deconfound.datasets.steps import copy_steps
from deconfound.errors import DataError, did_you_mean
from deconfound.io.archives import member_names, open_archive
from deconfound.io.reading import FileKind, check_regular, reading, resolved, shown

_FILE = FileKind("array", DataError, "write it with numpy.save from an array of numbers", math.inf)
_RAGGED = (
    "holds Python objects, such as arrays of unequal length; pad all to (N, T, D) with zeros at the end, and give the "
    "number of steps of each as a column that lengths names, or as the array 'lengths' of an .npz"
)
_AXES: dict[Kind, tuple[int, ...]] = {"vector": (2,), "sequence": (3, 4, 5), "image": (3, 4), "tokens": (2,)}
_SHAPES: dict[Kind, str] = {
    "vector": "(N, D)",
    "sequence": "(N, T, D), or (N, T, H, W) and (N, T, channels, H, W) of images",
    "image": "(N, H, W) or (N, channels, H, W)",
    "tokens": "(N, T)",
}


def resolve_inside(folder: Path, name: str) -> Path:
    """The path of a file that a table names, which must stay in the table's folder.

    Raises:
        DataError: an absolute path, a path with "..", a link that points outside the folder, or no such file.
    """
    path = folder / name
    inside = resolved(path, _FILE).is_relative_to(resolved(folder, _FILE))
    if Path(name).is_absolute() or ".." in Path(name).parts or not inside:
        raise DataError(f"{shown(name)!r} points outside {folder}; keep the files of a table in its folder")
    check_regular(path, _FILE)
    return path


def read_array(path: Path, key: str | None = None) -> np.ndarray:
    """One array: a `.npy` mapped into memory, or an array of a `.npz` read into it.

    Args:
        key: the array's name in a `.npz`; by default "values", or the only one.

    Raises:
        DataError: another format, a damaged file, objects instead of numbers, or no array of that name.
    """
    if path.suffix.lower() not in (".npy", ".npz"):
        raise DataError(f"{path}: a modality is a .npy or .npz file; write one with numpy.save or numpy.savez")
    if path.suffix.lower() == ".npy" and key is not None:
        raise DataError(f"{path} holds one array without a name; remove key = {key!r}")
    check_regular(path, _FILE)
    if path.suffix.lower() == ".npy":
        with reading(path, _FILE), _numbers_only(path):
            _check_header(path)
            return np.lib.format.open_memmap(path, mode="r")
    with open_archive(path, _FILE) as archive:
        name = _key(path, archive.files, key)
        with _numbers_only(path):
            array: object = archive[name]
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what does not begin as an array does
            raise ValueError(f"{name} is no array")  # noqa: TRY004 (the file's fault)
        return array


def _check_header(path: Path) -> None:
    """Refuse a `.npy` of numbers without bytes or of negative sizes, which end the whole process when they are mapped.

    Raises:
        ValueError: it announces such an array, or is not a `.npy`.
    """
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format holds no plain numbers")
        shape, _, dtype = _HEADERS[version](file)
    if dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"it announces an array of shape {shape} and dtype {dtype}")


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def _numbers_only(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "object" in str(error).lower():  # NumPy has no type of its own for this error
            raise DataError(f"{path} {_RAGGED}") from error
        raise


def array_signal(
    path: Path,
    *,
    key: str | None,
    kind: Kind | None,
    rows: np.ndarray | None,
    lengths: np.ndarray | None,
    ids: Sequence[str],
    what: str,
    repair: Repair | Fitting,
) -> tuple[Signal, dict[str, Any]]:
    """The signal of N samples from one array file.

    Args:
        key: as in `read_array`.
        kind: how to read the axes; by default two axes are a vector, more a sequence.
        rows: (N,) row in the array of each sample, NaN where a sample lacks the modality; None if the array has exactly
            these N rows in this order.
        lengths: (N,) steps of each sample, 0 where it lacks the modality; None to use `mask` or `lengths` of a `.npz`, or
            all steps. What they say of a sample without a row does not count.
        ids: (N) ids for error messages.
        what: name of the modality in error messages.
        repair: what to do with values that are not finite, or how to learn it from the rows.

    Returns:
        The signal, and what became of values that are not finite, with the repair as "repair".

    Raises:
        DataError: a wrong shape, type, row, length or mask.
    """
    array, kind, axes = turned(read_array(path, key), kind)
    kind = kind or ("vector" if array.ndim == 2 else "sequence")
    if array.ndim not in _AXES[kind] or 0 in array.shape:
        raise DataError(
            f"{what}: {path} has the shape {array.shape}; a {kind} is {_SHAPES[kind]}; save it so, or name another kind"
        )
    if array.dtype.kind not in ("iu" if kind == "tokens" else "fiub"):
        raise DataError(
            f"{what}: {path} holds {array.dtype}; a {kind} holds {'integers' if kind == 'tokens' else 'numbers'}: save it so"
        )
    if kind in ("vector", "image"):
        array = array[:, None]
    if rows is None and len(array) != len(ids):
        raise DataError(
            f"{what}: {path} has {len(array)} rows, the manifest {len(ids)}; give each sample one, or name with row a "
            "column of row numbers, blank where a sample lacks the modality"
        )
    there = np.ones(len(ids), dtype=bool) if rows is None else ~np.isnan(rows)
    if not there.any():
        raise DataError(f"{what}: no sample has a row of {path}; give row numbers from 0, or leave the modality out")
    source = (
        None
        if rows is None
        else _whole_numbers(np.where(there, rows, 0), len(array) - 1, f"{what}: row", ids, "a blank")
    )
    known = None if lengths is None else np.where(there, lengths, 0)
    steps = _existing_steps(path, array, source, known, ids, what) & there[:, None]
    if kind == "tokens":
        return _tokens(array if source is None else array[source], steps, what)
    mapped = _map_of(array)

    def release() -> None:
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    signal, notes = copy_steps([array if source is None else array[source]], release).repaired(steps, repair)
    read_as = {"axes": axes} if axes else {}
    return signal, {**notes, **read_as, "absent_rows": int((~signal.present).sum())}


def _map_of(array: np.ndarray) -> mmap.mmap | None:
    """The map that an array or a view of it reads."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base if isinstance(array.base, mmap.mmap) else None


def _existing_steps(
    path: Path,
    array: np.ndarray,
    source: np.ndarray | None,
    lengths: np.ndarray | None,
    ids: Sequence[str],
    what: str,
) -> np.ndarray:
    """(N, T) bool: the steps that exist."""
    steps = array.shape[1]
    arrays = member_names(path, _FILE) if path.suffix.lower() == ".npz" else []
    if lengths is None and "mask" in arrays:
        mask = read_array(path, "mask")
        if mask.shape != array.shape[:2] or mask.dtype.kind not in "biu":
            raise DataError(
                f"{what}: the mask of {path} is {mask.dtype} {mask.shape}; expected booleans {array.shape[:2]}"
            )
        return mask.astype(bool) if source is None else mask[source].astype(bool)
    if lengths is None and "lengths" in arrays:
        lengths = read_array(path, "lengths")
        if lengths.shape != array.shape[:1] or lengths.dtype.kind not in "fiu":
            raise DataError(
                f"{what}: the lengths of {path} are {lengths.dtype} {lengths.shape}; expected ({len(array)},)"
            )
        lengths = lengths if source is None else lengths[source]
    if lengths is None:
        return np.ones((len(ids), steps), dtype=bool)
    return np.arange(steps) < _whole_numbers(lengths, steps, f"{what}: length", ids, "0")[:, None]


def _tokens(values: np.ndarray, steps: np.ndarray, what: str) -> tuple[Signal, dict[str, Any]]:
    kept = np.where(steps, values, 0).astype(np.int64)
    if kept.min() < 0:
        raise DataError(f"{what}: a token is {kept.min()}; tokens are integers from 0")
    return Signal(torch.from_numpy(kept), torch.from_numpy(steps)), {"nan_steps": 0, "infinite_steps": 0}


def _whole_numbers(values: np.ndarray, most: int, what: str, ids: Sequence[str], absent: str) -> np.ndarray:
    """(N,) int64 in [0, most]; `absent` says how absence is written."""
    wide = values.astype(np.float64)
    wrong = np.flatnonzero(~((wide >= 0) & (wide <= most) & (wide == np.floor(wide))))
    if len(wrong):
        shown_value = "blank" if np.isnan(wide[wrong[0]]) else f"{wide[wrong[0]]:g}"
        raise DataError(
            f"{what} of {ids[wrong[0]]!r} is {shown_value}; expected a whole number from 0 to {most}, and where a sample "
            f"lacks the modality, {absent}"
        )
    return wide.astype(np.int64)


def _key(path: Path, names: list[str], key: str | None) -> str:
    if key is None:
        data = [name for name in names if name not in ("lengths", "mask")]
        key = "values" if "values" in names or len(data) != 1 else data[0]
    if key not in names:
        raise DataError(f"{path} has no array {key!r}{did_you_mean(key, names)}")
    return key
