"""Modalities of a manifest that are several of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deconfound.data.missing_words import MISSING
from deconfound.data.signal import Signal
from deconfound.datasets.frames import Column
from deconfound.datasets.tabular.encoding import KIND, TabularEncoding
from deconfound.datasets.tabular.fit import MOST_CATEGORIES, TabularOptions, tabular_signal
from deconfound.errors import DataError
from deconfound.io.reading import FileKind, read_json

Notes = Mapping[str, Mapping[str, Any]]
"""Modality → how it was read, as `tabular_signal` notes it under "preparation"; modalities of another kind among them."""

_FILE = FileKind("store or run", DataError, "name a store or a run whose columns were read alike")


class TabularSpec(BaseModel):
    """[modalities.NAME] with `columns`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...] = Field(min_length=1)
    categorical: tuple[str, ...] = ()
    most_categories: int = Field(default=MOST_CATEGORIES, ge=1, le=10_000)
    like: str | None = None


def encodings_of(notes: Notes) -> dict[str, TabularEncoding]:
    """Modality → encoding, of those that are columns of a table."""
    return {name: TabularEncoding.of(note["encoding"]) for name, note in notes.items() if note["kind"] == KIND}


def columns_signal(
    spec: TabularSpec,
    table: Mapping[str, Column],
    train: np.ndarray,
    ids: Sequence[str],
    *,
    name: str,
    folder: Path,
    missing: tuple[str, ...] = MISSING,
) -> tuple[Signal, dict[str, Any]]:
    """The columns of a modality as vectors, read as the training rows say, or as those of `spec.like` were.

    Args:
        table: column → N values.
        train: (N,) bool: the training rows.
        name: of the modality.
        folder: that of the TOML, from where `like` is found.
        missing: words for no value.

    Raises:
        DataError: as for `tabular_signal`, or `like` is neither a store nor a run, or has no such modality.
    """
    if spec.like is None:
        options = TabularOptions(spec.categorical, spec.most_categories, missing)
        return tabular_signal(table, train, options, name, ids)
    note = _notes(folder / spec.like).get(name)
    if note is None or note["kind"] != KIND:
        raise DataError(f"{name}: {spec.like} has no modality {name!r} of columns; name a store or run that has")
    return TabularEncoding.of(note["encoding"]).encode(table, name, ids), {"preparation": note}


def check_same_encoding(what: str, noted: Notes, expected: Notes) -> None:
    """Check that columns of other rows were read as those of training, which equal widths do not tell.

    Args:
        what: the other rows.
        noted: how they were read; expected: how those of training were.

    Raises:
        DataError: they were read otherwise.
    """
    for name, encoding in encodings_of(expected).items():
        other = noted.get(name)
        if other is None or other["kind"] != KIND or TabularEncoding.of(other["encoding"]) != encoding:
            raise DataError(
                f"{what}: the columns of {name!r} were read with other categories or scales than those of training; import "
                f'them with like = "RUN" under [modalities.{name}], or predict the raw rows'
            )


def notes_of(provenance: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Modality → how it was read, from the provenance of a dataset."""
    masks = provenance.get("masks", {})
    return {name: note["preparation"] for name, note in masks.items() if "preparation" in note}


def _notes(path: Path) -> Mapping[str, Mapping[str, Any]]:
    run, store = path / "environment.json", path / "dataset.json"
    if run.is_file():
        return read_json(run, _FILE)["data"]["preparations"]
    if store.is_file():
        return notes_of(read_json(store, _FILE)["provenance"])
    raise DataError(f"{path} is neither a store nor a run; like names one whose columns were read alike")
