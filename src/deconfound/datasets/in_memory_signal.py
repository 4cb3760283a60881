"""One modality in memory as a `Signal`: arrays, lists of arrays of unequal length, columns of numbers, images in bytes."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deconfound.data.signal import Signal
from deconfound.data.task import Kind
from deconfound.datasets.frames import Column, is_absent, is_number
from deconfound.datasets.image_axes import CHANNELS, SMALLEST_IMAGE
from deconfound.datasets.repair import Fitting, Repair
from deconfound.datasets.steps import copy_steps
from deconfound.errors import DataError

_HINT = "; resize images, or name what reads them, such as extractors={'image': 'image-vector'}"
_SHAPES: dict[Kind, str] = {
    "vector": "(N, D)",
    "sequence": "(N, T), (N, T, D), or images (N, T, H, W) and (N, T, channels, H, W)",
    "image": "(N, H, W), (N, channels, H, W) or (N, H, W, channels)",
    "tokens": "(N, T) integers from 0",
}


@dataclass(frozen=True, eq=False)
class Steps:
    """N rows of one modality before values that are not finite are repaired.

    Args:
        values: (N, T, *F) numbers.
        inside: (N, T) bool: the steps that exist.
        tokens: whether the values are tokens.
        note: one line about a conversion; "" without one.
    """

    values: np.ndarray
    inside: np.ndarray
    tokens: bool
    note: str


def steps_of(values: Column, what: str, *, kind: Kind | None = None, lengths: np.ndarray | None = None) -> Steps:
    """Read the axes of a column.

    Two axes are a vector, or tokens if lists of integers have unequal lengths; three and more are a sequence. Bytes
    (uint8) of the shape of images are images, whatever the place of their channels; they become numbers in [0, 1].

    Args:
        values: (N, ...) numbers, or N numbers, arrays, lists or None.
        what: name of the modality in error messages.
        kind: how to read the axes, where the default is not meant.
        lengths: (N,) whole numbers of steps; None for those that the values themselves say.

    Raises:
        DataError: values that are not numbers, shapes that do not fit, or lengths out of range.
    """
    array, inside = (values, None) if isinstance(values, np.ndarray) else _stacked(values, what)
    if inside is not None and array.ndim == 2 and kind is None and not _is_even(inside):
        kind = "tokens" if array.dtype.kind in "iu" else "sequence"
    if array.ndim < 1 or 0 in array.shape or array.dtype.kind not in "biuf":
        raise DataError(f"{what} has the shape {array.shape} and holds {array.dtype}; give numbers, one row per sample")
    read, kind, note = _axes(array, kind, what)
    exists = np.ones(read.shape[:2], dtype=bool) if inside is None else _existing(inside, read, kind, what)
    if lengths is not None:
        exists &= np.arange(read.shape[1]) < _checked(lengths, read.shape[1], len(read), what)[:, None]
    return Steps(read, exists, kind == "tokens", note)


def repaired(steps: Steps, what: str, repair: Repair | Fitting) -> tuple[Signal, dict[str, Any]]:
    """The signal, and what became of values that are not finite, as `CopiedSteps.repaired` notes it.

    Raises:
        DataError: tokens that are no integers from 0.
    """
    if not steps.tokens:
        return copy_steps([steps.values]).repaired(steps.inside, repair)
    if steps.values.dtype.kind not in "iu" or int(np.where(steps.inside, steps.values, 0).min()) < 0:
        raise DataError(f"{what}: tokens are integers from 0; got {steps.values.dtype} from {steps.values.min()}")
    kept = np.where(steps.inside, steps.values, 0).astype(np.int64)
    return Signal(torch.from_numpy(kept), torch.from_numpy(steps.inside)), {"nan_steps": 0, "infinite_steps": 0}


def _stacked(values: Sequence[Any], what: str) -> tuple[np.ndarray, np.ndarray]:
    """N values as one padded array (N, ...), and (N, T) bool, the steps that exist; T = 1 for numbers."""
    there = np.array([not is_absent(value) and not _is_empty(value) for value in values])
    if not there.any():
        raise DataError(f"{what} is absent in every row; leave it out")
    present = [value for value, exists in zip(values, there, strict=True) if exists]
    if all(is_number(value) for value in present):
        numbers = np.array([float(value) if exists else np.nan for value, exists in zip(values, there, strict=True)])
        return numbers, there[:, None]
    arrays = [_one(value, what) for value in present]
    shapes = {array.shape[1:] for array in arrays}
    if len({array.ndim for array in arrays}) > 1 or len(shapes) > 1:
        some = sorted({array.shape for array in arrays})[:3]
        raise DataError(f"{what} holds arrays of the shapes {some}; only the first axis, the steps, may differ{_HINT}")
    longest = max(len(array) for array in arrays)
    stacked = np.zeros((len(values), longest, *shapes.pop()), dtype=np.result_type(*arrays))
    inside = np.zeros((len(values), longest), dtype=bool)
    for row, array in zip(np.flatnonzero(there), arrays, strict=True):
        stacked[row, : len(array)] = array
        inside[row, : len(array)] = True
    return stacked, inside


def _existing(inside: np.ndarray, read: np.ndarray, kind: Kind, what: str) -> np.ndarray:
    """(N, T) bool: the steps that exist, from those of the first axis of each row."""
    if inside.shape == read.shape[:2]:
        return inside
    rows = np.asarray(inside.any(axis=1))
    if not _is_even(inside):
        sizes = sorted(set(np.asarray(inside.sum(axis=1))[rows].tolist()))[:3]
        raise DataError(f"{what} is {kind} data of the sizes {', '.join(map(str, sizes))}; {kind} data have one{_HINT}")
    return np.broadcast_to(rows[:, None], read.shape[:2]).copy()


def _is_even(inside: np.ndarray) -> bool:
    """Whether each row has all (N, T) steps or none."""
    return bool((np.asarray(inside.all(axis=1)) == np.asarray(inside.any(axis=1))).all())


def _is_empty(value: object) -> bool:
    return isinstance(value, Sized) and not is_number(value) and len(value) == 0


def _one(value: object, what: str) -> np.ndarray:
    """One row as an array of numbers; None inside of lists becomes NaN."""
    try:
        array = np.asarray(value)
        array = array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{what} holds a {type(value).__name__} that is not a regular array of numbers; give each row "
            "an array of steps, (T, D), as long as it is"
        ) from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise DataError(f"{what} holds {value!r:.60}; expected a number, a list of numbers or an array in every row")
    return array


def _axes(array: np.ndarray, kind: Kind | None, what: str) -> tuple[np.ndarray, Kind, str]:
    """(N, T, *F) values, their kind, and one line about a conversion of images."""
    if array.dtype == np.uint8 and kind in (None, "image", "sequence"):
        frames = _channels_first(array, kind)
        if frames is not None:
            return frames[0].astype(np.float32) / 255, "image", frames[1]
    kind = kind or ("vector" if array.ndim <= 2 else "sequence")
    if kind == "vector" and array.ndim <= 2:
        return array.reshape(len(array), 1, -1), kind, ""
    if kind == "vector" and array.ndim == 3 and array.shape[1] == 1:
        return array, kind, ""
    if kind == "sequence" and array.ndim in (2, 3, 4, 5):
        return (array[:, :, None] if array.ndim == 2 else array), kind, ""
    if kind == "tokens" and array.ndim == 2:
        return array, kind, ""
    if kind == "image" and array.ndim in (3, 4):
        last = array.ndim == 4 and array.shape[3] in CHANNELS and array.shape[1] not in CHANNELS
        note = f"(N, H, W, C) = {array.shape} became (N, C, H, W)" if last else ""
        return (np.moveaxis(array, -1, 1) if last else array)[:, None], kind, note
    if kind == "image" and array.ndim == 5 and array.shape[1] == 1:
        return array, kind, ""
    raise DataError(f"{what} has the shape {array.shape}; a {kind} is {_SHAPES[kind]}")


def _channels_first(array: np.ndarray, kind: Kind | None) -> tuple[np.ndarray, str] | None:
    """(N, T, channels, H, W) or (N, 1, H, W) bytes and one line, or None if the shape is not that of images."""
    shape, scaled = array.shape, "bytes became numbers from 0 to 1"
    large = all(side >= SMALLEST_IMAGE for side in shape[-3:-1])
    if array.ndim in (4, 5) and shape[-1] in CHANNELS and large:
        moved = np.moveaxis(array, -1, -3)
        axes = "(N, H, W, C)" if array.ndim == 4 else "(N, T, H, W, C)"
        line = f"{axes} = {shape} was read as images and turned to channels first; {scaled}"
        return (moved[:, None] if array.ndim == 4 else moved), line
    sides = min(shape[-2:]) >= SMALLEST_IMAGE
    if array.ndim == 4 and shape[1] in CHANNELS and sides and kind != "sequence":
        return array[:, None], f"(N, C, H, W) = {shape} was read as images; {scaled}"
    if array.ndim == 3 and sides and kind != "sequence":
        return array[:, None], f"(N, H, W) = {shape} was read as grey images; {scaled}"
    return None


def _checked(lengths: np.ndarray, most: int, rows: int, what: str) -> np.ndarray:
    wide = np.asarray(lengths, dtype=np.float64)
    if wide.shape != (rows,):
        raise DataError(f"{what}: the lengths have the shape {wide.shape}; expected ({rows},)")
    wrong = np.flatnonzero(~((wide >= 0) & (wide <= most) & (wide == np.floor(wide))))
    if len(wrong):
        raise DataError(
            f"{what}: the length of row {wrong[0] + 1} is {wide[wrong[0]]:g}; expected a whole number from 0 to {most}, and 0 "
            "where the row lacks the modality"
        )
    return wide.astype(np.int64)
