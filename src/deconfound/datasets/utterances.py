"""Utterances of a pickle, collected row by row: word-aligned sequences and the words themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    CorpusRows,
    ExtractorChoice,
    affect_labels,
    dataset_of,
    raw_sources,
    videos_of,
)
from deconfound.datasets.ragged import SequenceOptions
from deconfound.errors import DataError

EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
"""What the labels of CMU-MOSEI hold after the sentiment."""


@dataclass(eq=False)
class Utterances:
    """Rows of all splits.

    Args:
        size: bytes of the files.
        release: as in `Unpickled`.
        sequences: modality → one (T_i, D) array per row.
        texts: modality → the words of each row; each is kept as the metadata column "raw_" + its name.
        columns: further metadata.
    """

    size: int
    release: Callable[[], None]
    ids: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    sequences: defaultdict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    texts: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    columns: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, split: str, row_id: str, label: float, sequences: Mapping[str, np.ndarray], texts: Mapping[str, str]
    ) -> None:
        """Append one row; every row has the same modalities and texts."""
        self.ids.append(row_id)
        self.split.append(split)
        self.labels.append(label)
        for name, array in sequences.items():
            self.sequences[name].append(array)
        for name, text in texts.items():
            self.texts[name].append(text)

    def add_emotions(self, labels: object) -> None:
        """Keep what follows the sentiment in a label of seven numbers, as metadata of the row that was added last."""
        if isinstance(labels, np.ndarray) and labels.size == 1 + len(EMOTIONS):
            for emotion, degree in zip(EMOTIONS, labels.reshape(-1)[1:].tolist(), strict=True):
                self.columns[emotion].append(degree)


def utterance_dataset(
    path: Path,
    utterances: Utterances,
    provenance: Mapping[str, Any],
    extractor: ExtractorChoice,
    options: SequenceOptions,
    by_video: bool = True,
) -> Dataset:
    """The dataset; videos, where the ids name them, are the environments, and groups if no two splits share one.

    Args:
        extractor: of the texts; "none" makes no modality of them.
        by_video: the ids name videos, if all have such a form.

    Raises:
        DataError: rows that share arrays, or that `dataset_of` refuses.
    """
    if sum(array.nbytes for rows in utterances.sequences.values() for array in rows) > utterances.size:
        raise DataError("several rows are the same array; each needs its own")
    task, labels = affect_labels(np.array(utterances.labels))
    partial = next((name for name, values in utterances.columns.items() if len(values) != len(labels)), None)
    if partial is not None:
        raise DataError(f"only some rows have {partial!r}; give it to all or to none")
    videos = videos_of(utterances.ids) if by_video else {}
    groups = ("video",) if videos else ()
    rows = CorpusRows(
        utterances.ids,
        utterances.split,
        labels,
        utterances.sequences,
        raw_sources("text", extractor, utterances.texts),
        {**videos, **{f"raw_{name}": texts for name, texts in utterances.texts.items()}, **utterances.columns},
        groups,
        groups,
        utterances.release,
    )
    return dataset_of(path.stem, task, rows, provenance, options)
