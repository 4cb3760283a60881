"""New rows with raw samples, read as the data of the run were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deconfound.data.signal import Signal
from deconfound.datasets.manifest import Values, read_manifest, texts
from deconfound.errors import DataError
from deconfound.extraction.prepare import prepare_again
from deconfound.extraction.raw import RawColumn

Preparations = Mapping[str, Mapping[str, Any]]
"""Modality → how its raw samples were read, as `deconfound.extraction.prepare.prepare` notes it."""


def prepared(
    name: str, samples: Sequence[str | bytes | None], preparation: Mapping[str, Any], folder: Path, ids: Sequence[str]
) -> Signal | None:
    """B raw samples of one modality; None if no row has one.

    Raises:
        DataError: a sample cannot be read, or the model of training is not here.
    """
    if all(sample is None for sample in samples):
        return None
    return prepare_again(RawColumn(preparation["kind"], samples, folder), preparation, name, ids)


def read_raw_table(
    source: Path, preparations: Preparations, chunk: int
) -> Iterator[tuple[list[str], dict[str, Signal]]]:
    """Rows of a CSV, JSONL or Parquet file with a column of samples per modality; other columns are ignored.

    Args:
        chunk: rows at a time.

    Raises:
        DataError: the run was not trained on raw samples, the file cannot be read, lacks all of the columns, or has a
            sample that cannot be read.
    """
    if not preparations:
        raise DataError(
            f"{source} is a table of raw samples, and this run was trained on arrays; give a store, the .toml of a table or "
            "a .jsonl file"
        )
    columns = read_manifest(source, files={*preparations, *(note["column"] for note in preparations.values())})
    places = {name: _column_of(name, note, columns) for name, note in preparations.items()}
    if not any(places.values()):
        wanted = ", ".join(repr(note["column"]) for note in preparations.values())
        raise DataError(
            f"{source} has none of the columns {wanted} that the run was trained on; it has {', '.join(columns)}"
        )
    count = len(next(iter(columns.values())))
    ids = texts(columns["id"]) if "id" in columns else [str(row + 1) for row in range(count)]
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        signals = {
            name: prepared(name, _samples(columns[place][part]), preparations[name], source.parent, ids[part])
            for name, place in places.items()
            if place is not None
        }
        yield ids[part], {name: signal for name, signal in signals.items() if signal is not None}


def _column_of(name: str, preparation: Mapping[str, Any], columns: Mapping[str, Values]) -> str | None:
    return next((column for column in (preparation["column"], name) if column in columns), None)


def _samples(values: Values) -> list[str | bytes | None]:
    return [value if value is None or isinstance(value, bytes) else str(value) for value in values]
