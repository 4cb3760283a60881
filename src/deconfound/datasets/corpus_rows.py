"""The rows of a published corpus as a reader finds them, and the dataset that they become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import torch
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.splits import rows_by_split
from deconfound.data.task import Task
from deconfound.datasets.ragged import SequenceOptions, ragged_signal
from deconfound.datasets.raw_modality import RawSpec, raw_signal
from deconfound.errors import DataError, did_you_mean
from deconfound.extraction.kinds import RawKind

NO_EXTRACTOR = "none"
"""Names no extractor: the samples become no modality."""
ExtractorChoice: TypeAlias = str | dict[str, Any]
"""Name of an extractor, "" for the default one of its kind, or its name and arguments."""
TEXT_OPTION = "extractor of the words, by default sentence vectors; 'none' for no such modality"
"""Description of the option `text` of readers."""
FILES_OPTION = "extractor of the files, blank for the default of their kind; 'none' for no such modality"
"""Description of the options `image` and `video` of readers."""
TextChoice = Annotated[ExtractorChoice, Field(description=TEXT_OPTION)]
FilesChoice = Annotated[ExtractorChoice, Field(description=FILES_OPTION)]
"""Arguments that readers share."""

_SPLITS = {"train": "train", **dict.fromkeys(("valid", "val", "dev", "validation"), "valid")}
_SEGMENT = (re.compile(r"(.+)\$_\$(.+)"), re.compile(r"(.+)\[(\d+)\]"), re.compile(r"(.+)_(\d+)"))


@dataclass(frozen=True, eq=False)
class RawSource:
    """The raw samples of a modality.

    Args:
        spec: kind and extractor; its `column` names the samples of new rows at predict.
        samples: N texts, paths or bytes of files, None where a row has none.
        folder: the folder that paths stay in.
    """

    spec: RawSpec
    samples: Sequence[Any]
    folder: Path = Path()


def raw_sources(
    kind: RawKind, extractor: ExtractorChoice, columns: Mapping[str, Sequence[str | None]], folder: Path = Path()
) -> dict[str, RawSource]:
    """One modality per column of raw samples; none if the extractor is `NO_EXTRACTOR`.

    Args:
        extractor: of the kind.
        columns: modality → N samples; a blank or None is none.

    Raises:
        DataError: none of the files is there.
    """
    if extractor == NO_EXTRACTOR:
        return {}
    for name, samples in columns.items():
        if kind != "text" and not any(_is_file(folder, sample) for sample in samples):
            example = next((sample for sample in samples if sample is not None), None)
            raise DataError(
                f"{name}: none of {len(samples)} files, such as {example}, is in {folder}; put them there, or leave the "
                f"modality out with --option {name}=none"
            )
    return {
        name: RawSource(
            RawSpec(column=name, kind=kind, extractor=extractor or None), [sample or None for sample in samples], folder
        )
        for name, samples in columns.items()
    }


@dataclass(frozen=True, eq=False)
class CorpusRows:
    """N rows of a corpus, not yet copied.

    Args:
        ids: N unique texts.
        split: N split names.
        labels: (N,) numbers of a regression, or class numbers.
        sequences: modality → N arrays (T_i, D).
        raw: modality → raw samples.
        columns: metadata columns of N values, "id" not among them.
        release: frees the pages of a mapped source.
    """

    ids: Sequence[str]
    split: Sequence[str]
    labels: np.ndarray
    sequences: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    raw: Mapping[str, RawSource] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    environment: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    release: Callable[[], None] = lambda: None


def dataset_of(
    name: str,
    task: Task,
    rows: CorpusRows,
    provenance: Mapping[str, Any],
    options: SequenceOptions | None = None,
) -> Dataset:
    """Pad the sequences, extract the raw samples, and sort the rows by split.

    A `group` whose values have rows in two splits is not declared, and `deconfound data describe` warns about it.

    Args:
        provenance: format, file, checksum and the like; "masks" is added.

    Raises:
        DataError: rows that `Dataset.build` refuses, or samples that cannot be read.
    """
    train = np.asarray(rows.split, dtype=object) == "train"
    order = np.array(rows_by_split(rows.split), dtype=np.int64)
    numbers = torch.from_numpy(order)
    signals: dict[str, Signal] = {}
    masks: dict[str, dict[str, Any]] = {}
    for modality, arrays in rows.sequences.items():
        signal, masks[modality] = ragged_signal(arrays, train, options or SequenceOptions(), modality, rows.release)
        signals[modality] = signal if bool((numbers.diff() == 1).all()) else signal.select(numbers)
    for modality, source in rows.raw.items():
        signals[modality], masks[modality] = raw_signal(
            source.spec, source.samples, rows.ids, source.folder, modality, order
        )
    if not signals:
        raise DataError("no modality is left; name an extractor of the texts, such as --option text=sentence")
    labels = rows.labels.astype(np.int64 if task.kind == "classification" else np.float32)
    columns = {column: _as_objects(values)[order] for column, values in {"id": rows.ids, **rows.columns}.items()}
    return Dataset.build(
        name,
        task,
        signals,
        torch.from_numpy(labels[order]),
        columns,
        np.asarray(rows.split, dtype=object)[order],
        environment=rows.environment,
        group=tuple(column for column in rows.group if _apart(rows.columns[column], rows.split)),
        provenance={**provenance, "masks": masks},
    )


def split_name(name: str) -> str:
    """ "train", "valid" for its other names, or a test split such as "test-ood".

    Raises:
        DataError: any other name.
    """
    plain = name.strip().lower().replace("_", "-")
    if plain in _SPLITS:
        return _SPLITS[plain]
    if plain.startswith("test"):
        return plain
    raise DataError(f"there is a split {name[:40]!r}{did_you_mean(plain, [*_SPLITS, 'test'])}")


def videos_of(ids: Sequence[str]) -> dict[str, list[str]]:
    """Columns "video" and "segment" of ids such as `video$_$4`, `video[4]` or `video_4`; empty unless all are such."""
    for pattern in _SEGMENT:
        matches = [pattern.fullmatch(text) for text in ids]
        if all(matches):
            return {name: [m[part] for m in matches if m] for part, name in ((1, "video"), (2, "segment"))}
    return {}


def class_labels(labels: Sequence[str], classes: Sequence[str] | None = None) -> tuple[Task, np.ndarray]:
    """A classification of named labels.

    Args:
        labels: N names.
        classes: all classes in their order; by default those that occur, sorted.

    Returns:
        The task and (N,) int64 class numbers.

    Raises:
        DataError: a label that is none of the classes, or a single class.
    """
    known = tuple(classes or sorted(set(labels)))
    unknown = next((label for label in labels if label not in known), None)
    if unknown is not None:
        raise DataError(f"there is a label {unknown[:40]!r}{did_you_mean(unknown[:40], known)}")
    number = {name: position for position, name in enumerate(known)}
    return Task.classification(known), np.array([number[label] for label in labels], dtype=np.int64)


def affect_labels(labels: np.ndarray) -> tuple[Task, np.ndarray]:
    """The task of labels of affect, and (N,) labels of it: two classes where all labels are 0 and 1, or −1 and 1.

    Any other labels are a regression of sentiment with the protocol "mmsa-regression".
    """
    values = set(np.unique(labels).tolist())
    if len(values) == 2 and values in ({0.0, 1.0}, {-1.0, 1.0}):
        return Task.classification(("no", "yes")), (labels > 0).astype(np.int64)
    return Task.regression(loss="l1", protocol="mmsa-regression"), labels.astype(np.float32)


def _is_file(folder: Path, sample: str | None) -> bool:
    try:
        return sample is not None and (folder / sample).is_file()
    except OSError:  # such as a name that is too long
        return False


def _as_objects(values: Sequence[Any]) -> np.ndarray:
    """An object array of texts, because NumPy would make every text as wide as the longest one."""
    return (
        values
        if isinstance(values, np.ndarray)
        else np.array(list(values), dtype=object if any(isinstance(value, str) for value in values) else None)
    )


def _apart(groups: Iterable[object], splits: Iterable[str]) -> bool:
    """True if no group has rows in two splits."""
    first_split: dict[object, str] = {}
    return all(first_split.setdefault(group, split) == split for group, split in zip(groups, splits, strict=True))
