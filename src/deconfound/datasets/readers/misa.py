"""The folder of MISA and CLUE (CMU-MOSI, CMU-MOSEI, UR-FUNNY): one pickle of word-aligned rows per split.

Layout: `train.pkl`, `dev.pkl` and `test.pkl`, or `test_IID.pkl` and `test_OOD.pkl`, which become the splits "test-iid"
and "test-ood". Each is a list of `((word_ids, visual, acoustic, words), label, segment)`:

| part | content | becomes |
|---|---|---|
| `word_ids` | T numbers of words in a vocabulary that only `embedding_and_mapping.pt` tells | nothing |
| `visual`, `acoustic` | (T, D) numbers; T differs between rows | the modalities `vision` and `audio` |
| `words` | T words | the modality `text` by an extractor, and metadata `raw_text` |
| `label` | (1, 1) or (1, 7) numbers | the first is the target; of seven, the others are the metadata of the emotions |
| `segment` | such as `video[4]` | `id`; metadata `video` and `segment`; the videos are the environments |

`dev` becomes "valid". Rows are padded at the end. Other files of the folder are not opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import TextChoice, split_name
from deconfound.datasets.pickled_rows import as_text, iterate_rows, label, parts, steps, words
from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.steps import sha256
from deconfound.datasets.unpickle import read_pickle
from deconfound.datasets.utterances import Utterances, utterance_dataset
from deconfound.errors import DataError
from deconfound.registry import Flat

FILES = ("train", "dev", "test", "test_IID", "test_OOD")
"""Names of the files, without the ending `.pkl`; each may be absent but the first."""


class MisaReader(Reader):
    """Read the folder with train.pkl, dev.pkl and test.pkl of word-aligned rows; nothing in them is executed."""

    card = ReaderCard(
        source="CMU-MOSI, CMU-MOSEI and UR-FUNNY as exported by MISA (github.com/declare-lab/MISA; Hazarika et al., ACM "
        "Multimedia 2020), and CMU-MOSI in the splits of CLUE (github.com/Teng-Sun/CLUE_model)",
        licence="the terms of the corpus; MISA's code is MIT, that of CLUE has no licence",
        access="the download links in these repositories",
        layout="a folder: train.pkl, dev.pkl, test.pkl (CLUE: test_IID.pkl, test_OOD.pkl), each a list of "
        "((word_ids, visual, acoustic, words), label, segment)",
        known_defects=(
            "the features are standardized within each utterance, so that their level is lost",
            "the numbers of words need embedding_and_mapping.pt, which cannot be read without executing it: the reader "
            "takes the words themselves",
        ),
    )

    def __init__(
        self,
        *,
        text: TextChoice = "sentence",
        options: Annotated[SequenceOptions, Flat()] = SequenceOptions(),
    ) -> None:
        self.text, self.options = text, options

    def read(self, path: Path) -> Dataset:
        files = _files(path)
        try:
            utterances = Utterances(0, lambda: None)
            for split, file in files.items():
                _add(utterances, split, file)
            provenance = {"format": "misa", "file": path.name, "sha256": {f.name: sha256(f) for f in files.values()}}
            return utterance_dataset(path, utterances, provenance, self.text, self.options)
        except DataError as error:
            raise error if str(error).startswith(str(path)) else DataError(f"{path}: {error}") from None


def _files(path: Path) -> dict[str, Path]:
    """Name of a split → its file."""
    if not path.exists():
        raise DataError(f"cannot read {path}: No such file or directory; check its name")
    if not path.is_dir():
        raise DataError(f"{path} is a file; name the folder that holds train.pkl, dev.pkl and test.pkl")
    files = {split: path / f"{split}.pkl" for split in FILES if (path / f"{split}.pkl").is_file()}
    if "train" not in files:
        raise DataError(f"{path} has no train.pkl; expected train.pkl, dev.pkl and test.pkl")
    return files


def _add(utterances: Utterances, split: str, file: Path) -> None:
    pickled = read_pickle(file)
    utterances.size += pickled.size
    for _, place, row in iterate_rows({file.name: pickled.content}, 3):
        _, visual, acoustic, spoken = parts(row[0], 4, f"the first part of {place}")
        utterances.add(
            split_name(split),
            as_text(row[2], f"the segment of {place}"),
            label(row[1], place),
            {"audio": steps(acoustic, f"acoustic of {place}"), "vision": steps(visual, f"visual of {place}")},
            {"text": words(spoken, f"words of {place}")},
        )
        utterances.add_emotions(row[1])
