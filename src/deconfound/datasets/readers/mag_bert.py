"""The pickle of MAG-BERT, MIB and ITHP (CMU-MOSI, CMU-MOSEI): a list of word-aligned rows per split.

Layout: `{"train", "dev", "test"}`, each a list of `((words, visual, acoustic), label, segment)`:

| part | content | becomes |
|---|---|---|
| `words` | T words | the modality `text` by an extractor, and metadata `raw_text` |
| `visual`, `acoustic` | (T, D) numbers; T differs between rows | the modalities `vision` and `audio` |
| `label` | (1, 1) number | the target |
| `segment` | such as `video[4]` | `id`; metadata `video` and `segment`; the videos are the environments |

`dev` becomes "valid". Rows are padded at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import TextChoice, split_name
from deconfound.datasets.pickled_rows import (
    as_text,
    dict_of_splits,
    iterate_rows,
    label,
    parts,
    provenance,
    steps,
    words,
)
from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.unpickle import Unpickled, read_pickle
from deconfound.datasets.utterances import Utterances, utterance_dataset
from deconfound.errors import DataError
from deconfound.registry import Flat


class MagBertReader(Reader):
    """Read the pickle with train, dev and test as lists of word-aligned rows; nothing in it is executed."""

    card = ReaderCard(
        source="CMU-MOSI and CMU-MOSEI as exported for MAG-BERT (github.com/WasifurRahman/BERT_multimodal_transformer; "
        "Rahman et al., ACL 2020), and used by MIB and ITHP",
        licence="the terms of the corpus; the pickle states none",
        access="the download script in that repository",
        layout='one pickle: {"train", "dev", "test"}, each a list of ((words, visual, acoustic), label, segment)',
        known_defects=(
            "the visual features of CMU-MOSI have 47 columns, those of CMU-MOSEI 35: the reader takes what is there",
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
        pickled = read_pickle(path)
        try:
            utterances = _utterances(pickled)
            return utterance_dataset(path, utterances, provenance("mag-bert", path, pickled), self.text, self.options)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _utterances(pickled: Unpickled) -> Utterances:
    utterances = Utterances(pickled.size, pickled.release)
    for split, place, row in iterate_rows(dict_of_splits(pickled.content), 3):
        spoken, visual, acoustic = parts(row[0], 3, f"the first part of {place}")
        utterances.add(
            split_name(split),
            as_text(row[2], f"the segment of {place}"),
            label(row[1], place),
            {"audio": steps(acoustic, f"acoustic of {place}"), "vision": steps(visual, f"visual of {place}")},
            {"text": words(spoken, f"words of {place}")},
        )
    return utterances
