"""Modalities whose samples stand in a column of the manifest: texts, or paths of images, recordings and videos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deconfound.data.findings.near_texts import similar_note
from deconfound.data.signal import Signal
from deconfound.errors import DataError
from deconfound.extraction.cache import default_folder
from deconfound.extraction.embedded import EmbeddedFiles
from deconfound.extraction.kinds import RawKind
from deconfound.extraction.prepare import MOST_BROKEN, prepare
from deconfound.extraction.raw import RawColumn, kind_of

_SAMPLES = (str, int, float, bytes)


class RawSpec(BaseModel):
    """[modalities.NAME] with a `column`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    kind: RawKind | None = None
    extractor: str | dict[str, Any] | None = None
    folder: str | None = None
    most_broken: float = Field(default=MOST_BROKEN, ge=0, le=1)


def raw_signal(
    spec: RawSpec,
    samples: Sequence[Any],
    ids: Sequence[str],
    folder: Path,
    what: str,
    order: np.ndarray | None = None,
) -> tuple[Signal, dict[str, Any]]:
    """Extract the samples of a column, with a progress bar on a terminal, through the user's cache.

    Args:
        samples: N values of the column, the bytes of files among them; None where a row has none.
        folder: the folder of the table; `spec.folder` names another.
        order: (R,) the rows to return, in their order; all by default.

    Returns:
        R rows, and under "preparation" what new rows need in order to be read alike.

    Raises:
        DataError: a value that is no text, or as `prepare`.
        SpecError: an extractor that does not exist or reads another kind.
    """
    odd = next((sample for sample in samples if sample is not None and not isinstance(sample, _SAMPLES)), None)
    if odd is not None:
        raise DataError(
            f"{what}: the column {spec.column!r} holds {odd!r}; a raw modality is a column of texts or paths"
        )
    if not isinstance(samples, EmbeddedFiles):
        samples = [sample if sample is None or isinstance(sample, bytes) else str(sample) for sample in samples]
    kind = spec.kind or kind_of(samples, f"{what}: the column {spec.column!r}")
    extractor = {"name": spec.extractor} if isinstance(spec.extractor, str) else spec.extractor
    column = RawColumn(kind, samples, folder / (spec.folder or ""), extractor)
    signal, note = prepare(
        column,
        what,
        ids=ids,
        cache=default_folder(),
        progress=sys.stderr.isatty(),
        most_broken=spec.most_broken,
        order=order,
    )
    broken = {name: note.pop(name) for name in ("broken_rows", "broken")}
    texts = [sample if isinstance(sample, str) else None for sample in samples] if kind == "text" else []
    return signal, {**broken, "preparation": {"column": spec.column, **note}, **similar_note(kind, texts, ids)}
