"""Raw samples in memory: texts, paths of images, recordings and videos, and recordings as (samples, rate)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.data.findings.near_texts import similar_note
from deconfound.data.signal import Signal
from deconfound.datasets.frames import Column, is_absent
from deconfound.errors import DataError
from deconfound.extraction.cache import default_folder
from deconfound.extraction.embedded import FIELDS, embedded
from deconfound.extraction.kinds import RawKind
from deconfound.extraction.prepare import prepare, prepare_again
from deconfound.extraction.raw import RawColumn, kind_of

ExtractorChoice = str | Mapping[str, Any]
"""Name of an extractor, or a table with name and arguments."""


def is_raw(values: Column) -> bool:
    """Whether a column holds raw samples: its first value is a text, a path, a recording or the bytes of a file."""
    first = _first(values)
    return isinstance(first, str | Path | bytes) or _is_recording(first) or _is_file(first)


def holds_images(values: Column) -> bool:
    """Whether a column holds images as bytes, (H, W, channels) each, which an extractor reads where one is named."""
    return _is_image(_first(values))


def _first(values: Column) -> object:
    return next((value for value in values if not is_absent(value)), None)


def prepared_signal(
    values: Column,
    what: str,
    column: str,
    *,
    ids: Sequence[str],
    kind: RawKind | None,
    extractor: ExtractorChoice | None,
    order: np.ndarray | None = None,
) -> tuple[Signal, dict[str, Any]]:
    """N raw samples, extracted through the user's cache, and what new rows need in order to be read alike.

    Args:
        column: name of the samples in files with new rows.
        kind: what they are; by default told by the endings of paths.
        extractor: name or table; None for the default of the kind.
        order: (R,) the rows to return, in their order; all by default.

    Returns:
        R rows, and the notes of `prepare`, those about new rows under "preparation".

    Raises:
        DataError, SpecError: as for `prepare`.
    """
    samples = _samples(values, what)
    held = {type(sample) for sample in samples}
    kind = kind or ("audio" if tuple in held else "image" if np.ndarray in held else kind_of(samples, what))
    choice = None if extractor is None else {"name": extractor} if isinstance(extractor, str) else dict(extractor)
    raw = RawColumn(kind, samples, None, choice)
    signal, note = prepare(raw, what, ids=ids, cache=default_folder(), progress=sys.stderr.isatty(), order=order)
    broken = {name: note.pop(name) for name in ("broken_rows", "broken")}
    return signal, {**broken, "preparation": {"column": column, **note}, **similar_note(kind, samples, ids)}


def prepared_again(values: Column, what: str, note: Mapping[str, Any], ids: Sequence[str]) -> Signal:
    """N raw samples, read as those of training.

    Raises:
        DataError: as for `prepare_again`.
    """
    return prepare_again(RawColumn(note["kind"], _samples(values, what), None), note, what, ids)


def _samples(values: Column, what: str) -> list[Any]:
    """N texts, paths as texts, recordings or images; None for what is missing or empty."""
    return [None if is_absent(value) or _is_empty(value) else _sample(value, what) for value in values]


def _sample(value: Any, what: str) -> Any:
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, bytes) or _is_file(value):
        return value if isinstance(value, bytes) else embedded(value)
    if _is_recording(value):
        array, rate = value if isinstance(value, tuple) else (value["array"], value["sampling_rate"])
        return np.asarray(array, dtype=np.float32), rate
    if _is_image(value):
        return np.asarray(value)
    raise DataError(
        f"{what} holds a {type(value).__name__}; raw samples are texts, paths, bytes of files, (samples, rate), or (H, W, 3) "
        "images of bytes"
    )


def _is_file(value: object) -> bool:
    """Whether a value is what Hugging Face makes of a file: {"bytes": ..., "path": ...}."""
    return isinstance(value, Mapping) and value.keys() == FIELDS


def _is_empty(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _is_recording(value: object) -> bool:
    """Whether a value is (samples, rate in Hz), or the dict that Hugging Face makes of a recording."""
    if isinstance(value, Mapping):
        return {"array", "sampling_rate"} <= value.keys()
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and hasattr(value[0], "dtype")
        and isinstance(value[1], int | float)
    )


def _is_image(value: object) -> bool:
    """Whether a value is an image of (H, W, channels) bytes, as an array or one of Pillow."""
    if hasattr(value, "getbands"):
        return True
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3
