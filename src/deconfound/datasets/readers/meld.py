"""MELD: utterances of dialogues from a television series, one CSV per split.

Layout: a folder with `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`:

| column | content | becomes |
|---|---|---|
| `Dialogue_ID`, `Utterance_ID` | numbers that begin again in each split | `id` = `train/dia0_utt1`; metadata `dialogue` |
| `Utterance` | a sentence | the modality `text` by an extractor, and metadata `raw_text` |
| `Emotion`, `Sentiment` | names | one is the class, both are metadata |
| `Speaker` | a name | metadata `speaker`, the environment |

The clips `train_splits/diaD_uttU.mp4`, `dev_splits_complete/...` and `output_repeated_splits_test/...` become the modality
`video` on request; a clip that is broken is an absent modality of its row. Typographic marks that were decoded as
Windows-1252 are mended.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    FILES_OPTION,
    NO_EXTRACTOR,
    TEXT_OPTION,
    CorpusRows,
    ExtractorChoice,
    class_labels,
    dataset_of,
    raw_sources,
)
from deconfound.datasets.manifest import column, read_manifest, texts
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.records import split_files
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError

_CLIPS = {"train": "train_splits", "valid": "dev_splits_complete", "test": "output_repeated_splits_test"}
_MARKS = {0x85: "…", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x96: "–", 0x97: "—", 0xA0: " "}
_USED = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")


class MeldReader(Reader):
    """Read the utterances, speakers, emotions and clips of MELD."""

    card = ReaderCard(
        source="MELD (Poria et al., ACL 2019; github.com/declare-lab/MELD), from the series Friends",
        licence="GPL-3.0 for the repository; the clips are from television",
        access="the download links in that repository",
        layout="a folder: train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv, and the folders of clips "
        "diaD_uttU.mp4",
        known_defects=(
            "some marks were decoded as Windows-1252: the reader mends them and counts the rows",
            "some clips are broken, such as dia125_utt3 of train and dia110_utt7 of dev: absent in their rows",
            "dialogues of one episode are in several splits, with the same six speakers",
        ),
    )

    def __init__(
        self,
        *,
        target: Annotated[
            Literal["emotion", "sentiment"], Field(description="seven emotions or three sentiments")
        ] = "emotion",
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        video: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = NO_EXTRACTOR,
    ) -> None:
        self.target: Literal["emotion", "sentiment"] = target
        self.text, self.video = text, video

    def read(self, path: Path) -> Dataset:
        files = split_files(path, (".csv",))
        columns: dict[str, list[str]] = {name: [] for name in _USED}
        split: list[str] = []
        for name, file in files.items():
            table = read_manifest(file)
            for used in _USED:
                columns[used] += texts(column(table, used, file))
            split += [name] * (len(columns["Speaker"]) - len(split))
        said = [_mended(text) for text in columns["Utterance"]]
        provenance = {
            "format": "meld",
            "file": path.name,
            "sha256": {file.name: sha256(file) for file in files.values()},
            "mended_texts": sum(a != b for a, b in zip(said, columns["Utterance"], strict=True)),
        }
        try:
            task, labels = class_labels(columns[self.target.capitalize()])
            return dataset_of(path.name, task, self._rows(path, split, said, columns, labels), provenance)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _rows(
        self, path: Path, split: list[str], said: list[str], columns: dict[str, list[str]], labels: np.ndarray
    ) -> CorpusRows:
        numbers = list(zip(split, columns["Dialogue_ID"], columns["Utterance_ID"], strict=True))
        clips = [f"{_CLIPS[name]}/dia{dialogue}_utt{utterance}.mp4" for name, dialogue, utterance in numbers]
        metadata = {name.lower(): columns[name] for name in ("Speaker", "Emotion", "Sentiment")}
        return CorpusRows(
            ids=[f"{name}/dia{dialogue}_utt{utterance}" for name, dialogue, utterance in numbers],
            split=split,
            labels=labels,
            raw=raw_sources("text", self.text, {"text": said})
            | raw_sources("video", self.video, {"video": clips}, path),
            columns={"dialogue": [f"{name}/{d}" for name, d, _ in numbers], "raw_text": said, **metadata},
            environment=("speaker",),
        )


def _mended(text: str) -> str:
    """The text with marks of Windows-1252, and UTF-8 that was read as such, as they were meant."""
    if "â" in text:
        with suppress(UnicodeError):
            text = text.encode("cp1252").decode("utf-8")
    return text.translate(_MARKS)
