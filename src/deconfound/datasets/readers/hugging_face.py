"""Data sets of the Hugging Face library `datasets`, and Parquet files with list columns.

Layout: a folder that `DatasetDict.save_to_disk` wrote; a folder of `train-*.parquet`, `validation-*.parquet`,
`test-*.parquet`, in `data` or not; or one `.parquet` file with a column `split`.

| column | becomes |
|---|---|
| the `target`, by default `label` | a class if it is text, boolean or whole numbers, else a number to predict |
| lists of numbers | a modality: a vector if all rows have as many numbers, else a sequence of one feature |
| lists of lists of numbers | a modality of T steps |
| texts in `text_columns`, by default `text`, `sentence`, `utterance` | modalities by an extractor, and metadata |
| images, recordings and videos, as `{"bytes", "path"}` | modalities by the extractor of their kind; paths stay in the folder |
| `id` | `id`; without it `train/0`, `train/1`, ... |
| other texts, numbers and booleans | metadata |

Columns of other types are listed in the provenance as ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.data.one_label import ONE_LABEL
from deconfound.data.task import Task
from deconfound.datasets.arrow_table import class_names, split_tables, step_rows
from deconfound.datasets.corpus_rows import (
    FILES_OPTION,
    NO_EXTRACTOR,
    TEXT_OPTION,
    CorpusRows,
    ExtractorChoice,
    RawSource,
    class_labels,
    dataset_of,
    raw_sources,
    split_name,
)
from deconfound.datasets.manifest import as_metadata, texts
from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.raw_modality import RawSpec
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.errors import DataError, did_you_mean
from deconfound.extraction.embedded import EmbeddedFiles, holds_files
from deconfound.extraction.kinds import RawKind
from deconfound.registry import Flat

TEXT_COLUMNS = ("text", "sentence", "utterance")
"""Columns that are modalities where no others are named."""


class HuggingFaceReader(Reader):
    """Read a folder of the `datasets` library, or Parquet files with list columns; neither library code nor pickles run."""

    card = ReaderCard(
        source="your own data, or any data set that was saved with the library datasets",
        licence="the terms of the data; see the card on the hub",
        access="DatasetDict.save_to_disk, or the Parquet files of the hub",
        layout="a folder with dataset_dict.json and a folder per split; a folder of train-*.parquet and the like; or a "
        ".parquet with a column split",
    )

    def __init__(
        self,
        *,
        target: Annotated[str, Field(description="column to predict")] = "label",
        environment: Annotated[
            tuple[str, ...], Field(description="columns whose combinations are the environments")
        ] = (),
        group: Annotated[tuple[str, ...], Field(description="columns that no two splits may share")] = (),
        text_columns: Annotated[tuple[str, ...], Field(description="columns of texts that are modalities")] = (),
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        image: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = "",
        audio: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = "",
        video: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = "",
        options: Annotated[SequenceOptions, Flat()] = SequenceOptions(),
    ) -> None:
        self.files: dict[RawKind, ExtractorChoice] = {"image": image, "audio": audio, "video": video}
        self.target, self.text, self.text_columns = target, text, text_columns
        self.environment, self.group = environment, group
        self.options = options

    def read(self, path: Path) -> Dataset:
        tables = split_tables(path)
        try:
            return self._dataset(path, tables)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _dataset(self, path: Path, tables: dict[str, Any]) -> Dataset:
        import pyarrow as pa

        try:
            table = pa.concat_tables(list(tables.values()))
        except pa.ArrowException as error:
            raise DataError("the splits have different columns; give all the same") from error
        for column in (self.target, *self.environment, *self.group, *self.text_columns):
            if column not in table.column_names:
                raise DataError(f"there is no column {column!r}{did_you_mean(column, table.column_names)}")
        split = _splits(tables, table)
        ids = texts(table["id"].to_pylist()) if "id" in table.column_names else _numbered(split)
        task, labels = _target(table[self.target], class_names(path, self.target), self.target)
        said = [name for name in self.text_columns or TEXT_COLUMNS if name in table.column_names]
        files = self._files(table, path if path.is_dir() else path.parent)
        used = {self.target, "id", "split", *files}
        sequences, columns, ignored = _columns(table, used, {*self.environment, *self.group})
        raw = files | raw_sources(
            "text", self.text, {name: [_text(v) for v in table[name].to_pylist()] for name in said}
        )
        rows = CorpusRows(ids, split, labels, sequences, raw, columns, self.environment, self.group)
        provenance = {"format": "hugging-face", "file": path.name, "target": self.target, "ignored": ignored}
        return dataset_of(path.stem, task, rows, provenance, self.options)

    def _files(self, table: Any, folder: Path) -> dict[str, RawSource]:
        """The columns of images, recordings and videos."""
        sources: dict[str, RawSource] = {}
        for name in table.column_names:
            samples = EmbeddedFiles(table[name]) if holds_files(table[name].type) else None
            kind = None if samples is None else samples.kind()
            if samples is None or kind is None or self.files[kind] == NO_EXTRACTOR:
                continue
            spec = RawSpec(column=name, kind=kind, extractor=self.files[kind] or None)
            sources[name] = RawSource(spec, samples, folder)
        return sources


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _splits(tables: dict[str, Any], table: Any) -> list[str]:
    """(N) split names."""
    if "" not in tables:
        return [split for split, part in tables.items() for _ in range(len(part))]
    if "split" not in table.column_names:
        raise DataError("there is no column 'split'; name the split of each row, or keep a file for each")
    return [split_name(name) for name in texts(table["split"].to_pylist())]


def _numbered(split: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    ids = []
    for name in split:
        ids.append(f"{name}/{counts.get(name, 0)}")
        counts[name] = counts.get(name, 0) + 1
    return ids


def _target(column: Any, names: tuple[str, ...], what: str) -> tuple[Task, np.ndarray]:
    values = column.to_pylist()
    odd = next((value for value in values if not isinstance(value, str | int | float) or value != value), 0)
    if not isinstance(odd, int):
        several = f"; {ONE_LABEL}" if isinstance(odd, list | dict) else ""
        raise DataError(
            f"the column {what!r} holds {odd!r:.60}; every row needs a label that is a text or a number{several}"
        )
    if any(isinstance(value, float) for value in values):
        return Task.regression(), np.array(values, dtype=np.float32)
    if names and all(type(value) is int and 0 <= value < len(names) for value in values):
        return Task.classification(names), np.array(values, dtype=np.int64)
    classes = sorted(set(values)) if all(type(value) is int for value in values) else None
    return class_labels(texts(values), None if classes is None else texts(classes))


def _columns(
    table: Any, used: set[str], as_text: set[str]
) -> tuple[dict[str, list[np.ndarray]], dict[str, Any], list[str]]:
    """Modalities, metadata and the names of columns that are neither."""
    sequences: dict[str, list[np.ndarray]] = {}
    columns: dict[str, Any] = {}
    ignored: list[str] = []
    for name in table.column_names:
        if name in used:
            continue
        if holds_files(table[name].type):
            ignored.append(name)
            continue
        rows = step_rows(table[name], name)
        if rows is not None:
            sequences[name] = rows
            continue
        values = table[name].to_pylist()
        if any(not isinstance(value, str | int | float | None) for value in values):
            ignored.append(name)
        elif name in as_text:
            columns[name] = np.array(texts(values), dtype=object)
        else:
            columns[name] = as_metadata([None if value != value else value for value in values])
    return sequences, columns, ignored
