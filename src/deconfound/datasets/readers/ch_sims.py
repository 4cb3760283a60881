"""The label table of CH-SIMS and CMU-MOSEI: a CSV of texts with their splits, and the clips beside it.

Layout: a CSV, with a header or without one, in the order

| column | content | becomes |
|---|---|---|
| `video_id`, `clip_id` | texts such as `video_0001`, `0001` | `id` = `video_id$_$clip_id`; metadata `video`, `segment` |
| `text` | a sentence | the modality `text` by an extractor, and metadata `raw_text` |
| `label` | a number | the target |
| `label_T`, `label_A`, `label_V` | numbers, may be absent | metadata of these names |
| `annotation` | such as Negative, may be absent | metadata `annotation` |
| `mode` | `train`, `valid`, `test` | the split |

Videos are the environments, and groups if no two splits share one. The protocol is "sims" if all labels are in [-1, 1]
and those of single modalities are there, "sims-v2" if there is a column `mask` too, else "mmsa-regression". Rows of the
split `train_mix` of CH-SIMS v2, which mix the others, and rows without a label are left out and counted. The clips
`Raw/video_id/clip_id.mp4` become the modality `video` on request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.datasets.corpus_rows import (
    FILES_OPTION,
    NO_EXTRACTOR,
    TEXT_OPTION,
    CorpusRows,
    ExtractorChoice,
    dataset_of,
    raw_sources,
    split_name,
)
from deconfound.datasets.manifest import Values, column, numbers, read_manifest, texts
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError

HEADER = ("video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode")
"""Columns of a file without a header."""
_SINGLE = ("label_T", "label_A", "label_V")
_MIXED = "train_mix"


class ChSimsReader(Reader):
    """Read the CSV of texts, labels and splits that CH-SIMS and copies of CMU-MOSEI come with."""

    card = ReaderCard(
        source="CH-SIMS (Yu et al., ACL 2020) and CH-SIMS v2 (Liu et al., ICMI 2022; github.com/thuiar/ch-sims-v2), and "
        "tables of CMU-MOSEI with the same columns",
        licence="the terms of the corpus",
        access="the download links of the corpus; the table lies beside the folder Raw",
        layout="a CSV: video_id, clip_id, text, label, label_T, label_A, label_V, annotation, mode, with a header or "
        "without; clips as Raw/video_id/clip_id.mp4",
        known_defects=(
            "the header is missing in some copies: the reader then takes the columns in this order",
            "train_mix of CH-SIMS v2 repeats rows of other splits: the reader leaves it out and counts it",
        ),
    )

    def __init__(
        self,
        *,
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        video: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = NO_EXTRACTOR,
    ) -> None:
        self.text, self.video = text, video

    def read(self, path: Path) -> Dataset:
        columns = _table(path)
        labels = numbers(column(columns, "label", path), f"{path}: 'label'")
        modes = texts(column(columns, "mode", path))
        mixed = np.array([mode == _MIXED for mode in modes])
        kept = np.flatnonzero(~mixed & ~np.isnan(labels))
        if not len(kept):
            raise DataError(
                f"{path}: no row has a label in the splits train, valid and test; fill the columns label and mode"
            )
        chosen: dict[str, Values] = {name: [values[row] for row in kept] for name, values in columns.items()}
        dropped = {"mixed_rows_dropped": int(mixed.sum())}
        dropped["unlabelled_rows_dropped"] = len(labels) - len(kept) - dropped["mixed_rows_dropped"]
        provenance = {"format": "ch-sims", "file": path.name, "sha256": sha256(path), **dropped}
        try:
            return dataset_of(path.stem, _task(columns, labels[kept]), self._rows(chosen, path), provenance)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _rows(self, columns: dict[str, Values], path: Path) -> CorpusRows:
        videos, clips = texts(column(columns, "video_id", path)), texts(column(columns, "clip_id", path))
        said = columns.get("text", [None] * len(videos))
        files = [f"Raw/{video}/{clip}.mp4" for video, clip in zip(videos, clips, strict=True)]
        further: dict[str, list[Any]] = {
            name: numbers(columns[name], name).tolist() for name in _SINGLE if name in columns
        }
        if "annotation" in columns:
            further["annotation"] = texts(columns["annotation"])
        return CorpusRows(
            ids=[f"{video}$_${clip}" for video, clip in zip(videos, clips, strict=True)],
            split=[split_name(mode) for mode in texts(columns["mode"])],
            labels=numbers(columns["label"], "label"),
            raw=raw_sources("text", self.text, {"text": said})
            | raw_sources("video", self.video, {"video": files}, path.parent),
            columns={"video": videos, "segment": clips, "raw_text": texts(said), **further},
            environment=("video",),
            group=("video",),
        )


def _table(path: Path) -> dict[str, Values]:
    if path.is_dir():
        raise DataError(f"{path} is a folder; name its CSV with video_id, clip_id, text, label and mode")
    if path.is_file() and path.suffix.lower() != ".csv":
        raise DataError(f"{path} is not a .csv file; expected a table with video_id, clip_id, text, label and mode")
    if not path.exists():
        raise DataError(f"cannot read {path}: No such file or directory; check its name")
    return read_manifest(path, HEADER)


def _task(columns: dict[str, Values], labels: np.ndarray) -> Task:
    sims = all(name in columns for name in _SINGLE) and float(np.abs(labels).max()) <= 1
    protocol = ("sims-v2" if "mask" in columns else "sims") if sims else "mmsa-regression"
    return Task.regression(loss="l1", protocol=protocol)
