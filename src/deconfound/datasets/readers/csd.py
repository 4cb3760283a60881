"""Computational sequences of the CMU Multimodal SDK (CMU-MOSI, CMU-MOSEI, POM): one HDF5 file per modality and one of labels.

Layout: a folder of `.csd` files, each with `ROOT/data/KEY/features` (n, D) and `intervals` (n, 2) in seconds, where KEY is a
video or, of aligned files, a segment `video[4]`. Each row of the labels is one segment:

| file | becomes |
|---|---|
| the one with `label` in its name | the target: the first column; of seven, the others are the metadata of the emotions |
| words, such as `*TimestampedWords.csd` | the modality `text` by an extractor, and metadata `raw_text`; pauses "sp" left out |
| names with `glove` | the modality `glove` |
| names with `covarep`, `opensmile`, `acoustic` or `audio` | the modality `audio` |
| names with `facet`, `openface`, `visual` or `vision` | the modality `vision` |
| any other | a modality of the file's name in lower case |

A step belongs to the segment that holds the middle of its interval. `id` is `video[4]`; metadata `video` and `segment`; the
videos are the environments. The splits are those of `splits.json` in the folder, `{"train": [videos], "valid": ..., "test":
...}`; without it whole videos are drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import TEXT_OPTION, ExtractorChoice, split_name
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.hdf5 import Timed, read_sequence
from deconfound.datasets.pickled_rows import label
from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.records import read_json
from deconfound.datasets.steps import sha256
from deconfound.datasets.utterances import Utterances, utterance_dataset
from deconfound.errors import DataError
from deconfound.registry import Flat

SHARES = {"train": 0.7, "valid": 0.15, "test": 0.15}
"""Shares of the rows where the folder has no splits.json."""
_NAMES = {
    "glove": ("glove",),
    "audio": ("covarep", "opensmile", "acoustic", "audio"),
    "vision": ("facet", "openface", "visual", "vision"),
}
_PAUSE = "sp"


class CsdReader(Reader):
    """Read the HDF5 files of the CMU Multimodal SDK; links to other files are refused."""

    card = ReaderCard(
        source="CMU-MOSI, CMU-MOSEI and POM of the CMU Multimodal SDK (github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK)",
        licence="the terms of the corpus",
        access="the download links of the SDK",
        layout="a folder of .csd files, HDF5 with ROOT/data/KEY/features and intervals, one of them with 'label' in its "
        "name; splits.json with the videos of each split",
        known_defects=(
            "the files hold no splits; the SDK keeps them as Python lists: write them to splits.json",
            "words hold the pause 'sp': the reader leaves it out of the text",
        ),
    )

    def __init__(
        self,
        *,
        seed: Annotated[int, Field(ge=0, description="of random splits, where there is no splits.json")] = 0,
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        options: Annotated[SequenceOptions, Flat()] = SequenceOptions(),
    ) -> None:
        self.seed, self.text, self.options = seed, text, options

    def read(self, path: Path) -> Dataset:
        files = _files(path)
        sequences = {name: read_sequence(file) for name, file in files.items()}
        try:
            segments = _segments(sequences.pop("labels"))
            split = _splits(path / "splits.json", segments, self.seed)
            utterances = Utterances(1 << 62, lambda: None)
            for (row_id, labels, interval), name in zip(segments, split, strict=True):
                if name:
                    _add(utterances, name, row_id, labels, _within(sequences, row_id, interval))
            provenance = {"format": "csd", "file": path.name, "sha256": {f.name: sha256(f) for f in files.values()}}
            provenance |= {"segments_without_split": split.count("")}
            return utterance_dataset(path, utterances, provenance, self.text, self.options)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _files(path: Path) -> dict[str, Path]:
    """Modality, or "labels" → its file."""
    if not path.exists():
        raise DataError(f"cannot read {path}: No such file or directory; check its name")
    if not path.is_dir():
        raise DataError(f"{path} is a file; name the folder of all .csd files, one of them with labels")
    files: dict[str, Path] = {}
    for file in sorted(path.glob("*.csd")):
        name = file.stem.lower()
        known = next((modality for modality, words in _NAMES.items() if any(word in name for word in words)), name)
        modality = "labels" if "label" in name else known
        if modality in files:
            raise DataError(f"{path}: {files[modality].name} and {file.name} are both {modality}; keep one of them")
        files[modality] = file
    if "labels" not in files or len(files) == 1:
        raise DataError(
            f"{path} holds {[f.name for f in files.values()][:5]}; expected .csd files, one with 'label' in its name"
        )
    return files


def _segments(labels: Mapping[str, Timed]) -> list[tuple[str, np.ndarray, tuple[float, float]]]:
    """Id, label and interval of each segment."""
    segments = []
    for key, timed in labels.items():
        if timed.features.ndim != 2:
            raise DataError(f"the labels of {key[:40]!r} are words; expected numbers (n, D)")
        for number, (row, (begin, end)) in enumerate(zip(timed.features, timed.intervals.tolist(), strict=True)):
            segments.append((key if key.endswith("]") else f"{key}[{number}]", row, (begin, end)))
    if not segments:
        raise DataError("the labels have no segment; download the file of the labels again")
    return segments


def _splits(path: Path, segments: list[tuple[str, np.ndarray, tuple[float, float]]], seed: int) -> list[str]:
    """(N) split of each segment, "" for none."""
    videos = [row_id.rpartition("[")[0] for row_id, *_ in segments]
    if not path.exists():
        return grouped_split(videos, SHARES, seed)
    written = read_json(path)
    if not isinstance(written, dict) or not all(isinstance(names, list) for names in written.values()):
        raise DataError(f"{path.name} is no object of lists; expected split → videos")
    split_of: dict[str, str] = {}
    for name, members in written.items():
        for video in map(str, members):
            if split_of.setdefault(video, split_name(name)) != split_name(name):
                raise DataError(f"{path.name}: the video {video[:40]!r} is in two splits; keep it in one")
    return [split_of.get(video, "") for video in videos]


def _within(
    sequences: Mapping[str, Mapping[str, Timed]], row_id: str, interval: tuple[float, float]
) -> dict[str, np.ndarray]:
    """Modality → the steps of a segment, or the words of it."""
    video = row_id.rpartition("[")[0]
    steps: dict[str, np.ndarray] = {}
    for modality, sequence in sequences.items():
        if row_id in sequence:
            steps[modality] = sequence[row_id].features
        elif video in sequence:
            steps[modality] = sequence[video].within(*interval)
        else:
            words = any(timed.features.ndim == 1 for timed in sequence.values())
            steps[modality] = np.empty(0, dtype=object) if words else np.empty((0, 0), dtype=np.float32)
    return steps


def _add(utterances: Utterances, split: str, row_id: str, labels: np.ndarray, steps: Mapping[str, np.ndarray]) -> None:
    said = [word for array in steps.values() if array.ndim == 1 for word in array.tolist() if word != _PAUSE]
    arrays = {modality: array for modality, array in steps.items() if array.ndim == 2}
    texts = {"text": " ".join(said)} if len(arrays) < len(steps) else {}
    utterances.add(split, row_id, label(labels, repr(row_id)), arrays, texts)
    utterances.add_emotions(labels)
