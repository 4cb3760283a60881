"""The pickle of MultiBench's affective data (CMU-MOSI, CMU-MOSEI, UR-FUNNY, MUStARD): aligned arrays per split.

Layout: `{"train", "valid", "test"}`, each a dict of N rows:

| key | shape | becomes |
|---|---|---|
| `text`, `audio`, `vision` | (N, T, D) numbers, aligned, with padding in front | the signals, float32 |
| `labels` | N numbers in any shape, such as (N, 1, 1) | the target; classes "no" and "yes" if 0 and 1, or −1 and 1 |
| `id` | (N, 3) texts: video, begin and end, or N texts | `id`; metadata `video`, the environment and the group |

The steps of a row begin at the first word that is not all zeros, in all modalities, as MultiBench trims them. A modality
whose row is all zeros is absent. A NaN or an infinite value is set to the training mean of its feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.one_label import ONE_LABEL
from deconfound.datasets.corpus_rows import CorpusRows, affect_labels, dataset_of, split_name
from deconfound.datasets.pickled_rows import as_text, dict_of_splits, held, provenance
from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.unpickle import Unpickled, read_pickle
from deconfound.errors import DataError
from deconfound.registry import Flat

MODALITIES = ("text", "audio", "vision")


class MultibenchReader(Reader):
    """Read the pickle of MultiBench's affective data; nothing in it is executed."""

    card = ReaderCard(
        source="CMU-MOSI, CMU-MOSEI, UR-FUNNY and MUStARD as exported for MultiBench (github.com/pliang279/MultiBench; "
        "Liang et al., NeurIPS 2021 Datasets and Benchmarks)",
        licence="the terms of the corpus; the code of MultiBench is MIT",
        access="the download links in that repository",
        layout='one pickle: {"train", "valid", "test"}, each a dict with vision, audio, text (N, T, D), labels and id',
        known_defects=(
            "the padding is in front, and rows begin at the first word that is not all zeros",
            "audio holds -inf: the reader imputes, masks or leaves out, and counts",
            "labels of humour and sarcasm are 0 and 1, or -1 and 1",
        ),
    )

    def __init__(self, *, options: Annotated[SequenceOptions, Flat()] = SequenceOptions()) -> None:
        self.options = options

    def read(self, path: Path) -> Dataset:
        pickled = read_pickle(path)
        try:
            return _dataset(path, pickled, self.options)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _dataset(path: Path, pickled: Unpickled, options: SequenceOptions) -> Dataset:
    splits = dict_of_splits(pickled.content)
    ids: list[list[str]] = []
    split: list[str] = []
    labels: list[np.ndarray] = []
    sequences: dict[str, list[np.ndarray]] = {}
    for name, content in splits.items():
        if not isinstance(content, dict):
            raise DataError(f"the split {name[:40]!r} is {held(content)}; expected a dict with labels and arrays")
        labels.append(_labels(content, name))
        count = len(labels[-1])
        split += [split_name(name)] * count
        ids += _ids(content, name, count)
        for modality, rows in _rows(content, name, count).items():
            sequences.setdefault(modality, []).extend(rows)
    if any(len(rows) != len(ids) for rows in sequences.values()):
        raise DataError("a modality is in some splits only; give it to all or to none")
    if sum(array.nbytes for rows in sequences.values() for array in rows) > pickled.size:
        raise DataError("several modalities or splits are the same array; each needs its own")
    task, target = affect_labels(np.concatenate(labels))
    by_video = ("video",) if all(len(row) > 1 for row in ids) else ()
    rows = CorpusRows(
        ["/".join(row) for row in ids],
        split,
        target,
        sequences,
        columns={"video": [row[0] for row in ids]} if by_video else {},
        environment=by_video,
        group=by_video,
        release=pickled.release,
    )
    return dataset_of(path.stem, task, rows, provenance("multibench", path, pickled), options)


def _labels(content: Mapping[str, Any], split: str) -> np.ndarray:
    """(N,) float64."""
    labels = content.get("labels")
    if isinstance(labels, list) and all(isinstance(value, bool | int | float) for value in labels):
        labels = np.array(labels, dtype=np.float64)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "fiub" or labels.size == 0:
        raise DataError(
            f"'labels' of {split[:40]!r} is {held(content.get('labels'))}; expected one number for each row"
        )
    if labels.size != len(labels):
        raise DataError(
            f"'labels' of {split[:40]!r} has the shape {labels.shape}; expected one number for each row; {ONE_LABEL}"
        )
    return labels.reshape(-1).astype(np.float64)


def _ids(content: Mapping[str, Any], split: str, count: int) -> list[list[str]]:
    """The parts of each id; the row's number where the file has none."""
    ids = content.get("id")
    if ids is None:
        return [[f"{split}-{row}"] for row in range(count)]
    values = ids.tolist() if isinstance(ids, np.ndarray) else ids
    if not isinstance(values, list) or len(values) != count:
        raise DataError(f"'id' of {split[:40]!r} is {held(ids)}; labels has {count} rows: give each one")
    place = f"an id of {split[:40]!r}"
    rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in values]
    return [
        [as_text(part, place) for part in (row if isinstance(row, list | tuple) and row else [row])] for row in rows
    ]


def _rows(content: Mapping[str, Any], split: str, count: int) -> dict[str, list[np.ndarray]]:
    """Modality → the existing steps of each row, as views."""
    arrays = {name: content[name] for name in MODALITIES if content.get(name) is not None}
    if not arrays:
        raise DataError(f"the split {split[:40]!r} has none of {', '.join(MODALITIES)}; name the arrays so")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 3 or 0 in array.shape:
            raise DataError(
                f"{name!r} of {split[:40]!r} is {held(array)}; expected an array of numbers, (N, T, D): pad rows of unequal "
                "length with zeros in front"
            )
        if len(array) != count:
            raise DataError(
                f"{name!r} of {split[:40]!r} has {len(array)} rows; labels has {count}: give each row one, of zeros where it "
                "lacks the modality"
            )
    first = _first_words(arrays)
    return {
        name: [row[begin:] if row.any() else row[:0] for row, begin in zip(array, first[name], strict=True)]
        for name, array in arrays.items()
    }


def _first_words(arrays: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """Modality → (N) first step: that of the text where the modality has as many steps as the text, else its own."""
    own = {name: [int(np.argmax(row.any(axis=1))) for row in array] for name, array in arrays.items()}
    text_steps = arrays["text"].shape[1] if "text" in arrays else 0
    return {name: own["text"] if array.shape[1] == text_steps else own[name] for name, array in arrays.items()}
