"""New rows with raw samples, read as the data of the run were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deconfound.data.missing_words import unlabelled_rows
from deconfound.data.signal import Signal
from deconfound.datasets.manifest import Values, column, read_manifest, texts
from deconfound.datasets.tabular.encoding import KIND, TabularEncoding
from deconfound.errors import DataError
from deconfound.extraction.prepare import prepare_again
from deconfound.extraction.raw import RawColumn

Preparations = Mapping[str, Mapping[str, Any]]
"""Modality → how its raw samples or columns were read, as `extraction.prepare` and `datasets.tabular` note it."""


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


def tabular(name: str, table: Mapping[str, Values], note: Mapping[str, Any], ids: Sequence[str]) -> Signal:
    """B rows of a modality of several columns; a column that is not there is missing in all rows.

    Raises:
        DataError: a text in a column of numbers.
    """
    return TabularEncoding.of(note["encoding"]).encode(table, name, ids)


def column_names(name: str, note: Mapping[str, Any]) -> list[str]:
    """Columns that new rows of a modality may have: those of its table, or that of its samples, or else its own name."""
    return list(note["columns"]) if note["kind"] == KIND else [note["column"], name]


def read_raw_table(
    source: Path, preparations: Preparations, chunk: int, targets: Sequence[str] = ()
) -> Iterator[tuple[list[str], dict[str, Signal]]]:
    """Rows of a CSV, JSONL or Parquet file with the columns of each modality; other columns are ignored.

    Args:
        chunk: rows at a time.
        targets: only the rows that lack a value in one of these columns, the labels of training; all rows if empty.

    Raises:
        DataError: the run was not trained on raw samples, the file cannot be read, lacks all of the columns, or has a
            sample that cannot be read.
    """
    if not preparations:
        raise DataError(
            f"{source} is a table of raw samples, and this run was trained on arrays; give a store, the .toml of a table or "
            "a .jsonl file"
        )
    files = {*preparations, *(place for name, note in preparations.items() for place in column_names(name, note))}
    columns = read_manifest(source, files=files)
    if targets:
        rows = unlabelled_rows({name: column(columns, name, source) for name in targets})
        columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    places = {
        name: [place for place in column_names(name, note) if place in columns] for name, note in preparations.items()
    }
    if not any(places.values()):
        raw = {name: note for name, note in preparations.items() if note["kind"] != KIND}
        names = [place for name in preparations if name not in raw for place in preparations[name]["columns"]]
        wanted = ", ".join(map(repr, [*(note["column"] for note in raw.values()), *names]))
        raise DataError(
            f"{source} has none of the columns {wanted} that the run was trained on; it has {', '.join(columns)}"
        )
    count = len(next(iter(columns.values())))
    ids = texts(columns["id"]) if "id" in columns else [str(row + 1) for row in range(count)]
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        signals: dict[str, Signal | None] = {}
        for name, there in places.items():
            note = preparations[name]
            if note["kind"] == KIND and there:
                signals[name] = tabular(name, {place: columns[place][part] for place in there}, note, ids[part])
            elif there:
                samples = _samples(columns[there[0]][part])
                signals[name] = prepared(name, samples, note, source.parent, ids[part])
        yield ids[part], {name: signal for name, signal in signals.items() if signal is not None}


def _samples(values: Values) -> list[str | bytes | None]:
    return [value if value is None or isinstance(value, bytes) else str(value) for value in values]
