"""Raw samples in memory: texts, paths of images, recordings and videos, and recordings as (samples, rate)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deconfound.data.signal import Signal
from deconfound.datasets.frames import Column, is_absent
from deconfound.errors import DataError
from deconfound.extraction.cache import default_folder
from deconfound.extraction.prepare import prepare, prepare_again
from deconfound.extraction.raw import RawColumn, RawKind, kind_of

ExtractorChoice = str | Mapping[str, Any]
"""Name of an extractor, or a table with name and arguments."""


def is_raw(values: Column) -> bool:
    """Whether a column holds raw samples: its first value is a text, a path or a recording."""
    if not isinstance(values, list):
        return False
    first = next((value for value in values if not is_absent(value)), None)
    return isinstance(first, str | Path) or _is_recording(first)


def prepared_signal(
    values: Column,
    what: str,
    column: str,
    *,
    ids: Sequence[str],
    kind: RawKind | None,
    extractor: ExtractorChoice | None,
) -> tuple[Signal, dict[str, Any]]:
    """N raw samples, extracted through the user's cache, and what new rows need in order to be read alike.

    Args:
        column: name of the samples in files with new rows.
        kind: what they are; by default told by the endings of paths.
        extractor: name or table; None for the default of the kind.

    Returns:
        N rows, and the notes of `prepare`, those about new rows under "preparation".

    Raises:
        DataError, SpecError: as for `prepare`.
    """
    samples = _samples(values, what)
    recordings = any(isinstance(sample, tuple) for sample in samples)
    kind = kind or ("audio" if recordings else kind_of(samples, what))
    choice = None if extractor is None else {"name": extractor} if isinstance(extractor, str) else dict(extractor)
    raw = RawColumn(kind, samples, None, choice)
    signal, note = prepare(raw, what, ids=ids, cache=default_folder(), progress=sys.stderr.isatty())
    broken = {name: note.pop(name) for name in ("broken_rows", "broken")}
    return signal, {**broken, "preparation": {"column": column, **note}}


def prepared_again(values: Column, what: str, note: Mapping[str, Any], ids: Sequence[str]) -> Signal:
    """N raw samples, read as those of training.

    Raises:
        DataError: as for `prepare_again`.
    """
    return prepare_again(RawColumn(note["kind"], _samples(values, what), None), note, what, ids)


def _samples(values: Column, what: str) -> list[Any]:
    """N texts, paths as texts, or recordings; None for what is missing or empty."""
    samples = [None if is_absent(value) or _is_empty(value) else value for value in values]
    samples = [str(sample) if isinstance(sample, Path) else sample for sample in samples]
    wrong = next((s for s in samples if s is not None and not isinstance(s, str) and not _is_recording(s)), None)
    if wrong is not None:
        raise DataError(f"{what} mixes texts or paths with {type(wrong).__name__}; give one kind of sample in all rows")
    return samples


def _is_empty(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _is_recording(value: object) -> bool:
    """Whether a value is (samples, rate in Hz)."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and hasattr(value[0], "dtype")
        and isinstance(value[1], int | float)
    )
