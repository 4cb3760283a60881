"""The pickle of HKT (UR-FUNNY, MUStARD): a punchline and its context, word by word, with humour-centric features.

Layout: `{"train", "dev", "test"}`, each a list of `(punchline, context, id, label)`; the first two are
`(words, visual, acoustic, hcf)`:

| part | content | becomes |
|---|---|---|
| `words` | n words | the modality `text` by an extractor, and metadata `raw_text` |
| `visual` | (n, 91) | the modality `vision`: the columns 55 to 90, which the authors use, or all |
| `acoustic` | (n, 81) | the modality `audio`: the columns 0 to 59, which the authors use, or all |
| `hcf` | (n, 4) humour-centric features | the modality `hcf` |
| `context` | the same | the modalities `context_text`, `context_vision`, `context_audio` and `context_hcf` |
| `label` | 0 or 1 | the class "no" or "yes" |

`dev` becomes "valid". Rows are padded at the end. A row without context lacks these modalities.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import TEXT_OPTION, ExtractorChoice, split_name
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

_USED = {"vision": slice(55, 91), "audio": slice(0, 60), "hcf": slice(None)}
"""Modality → the columns that the authors use."""


class HktReader(Reader):
    """Read the pickle with punchlines, contexts and humour-centric features; nothing in it is executed."""

    card = ReaderCard(
        source="UR-FUNNY and MUStARD as exported for HKT (github.com/matalvepu/HKT; Hasan et al., AAAI 2021)",
        licence="the terms of the corpus; the repository states none",
        access="the download links in that repository",
        layout='one pickle: {"train", "dev", "test"}, each a list of (punchline, context, id, label) with punchline and '
        "context (words, visual, acoustic, hcf)",
        known_defects=("columns that the authors never use are left out unless --option features=all",),
    )

    def __init__(
        self,
        *,
        context: Annotated[bool, Field(description="read what was said before the punchline too")] = True,
        features: Annotated[
            Literal["authors", "all"], Field(description="the columns that the authors use, or all of them")
        ] = "authors",
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        options: Annotated[SequenceOptions, Flat()] = SequenceOptions(),
    ) -> None:
        self.context, self.features = context, features
        self.text, self.options = text, options

    def read(self, path: Path) -> Dataset:
        pickled = read_pickle(path)
        try:
            utterances = self._utterances(pickled)
            facts = provenance("hkt", path, pickled)
            return utterance_dataset(path, utterances, facts, self.text, self.options, by_video=False)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _utterances(self, pickled: Unpickled) -> Utterances:
        utterances = Utterances(pickled.size, pickled.release)
        for split, place, row in iterate_rows(dict_of_splits(pickled.content), 4):
            sequences, texts = self._said(row[0], f"punchline of {place}")
            if self.context:
                before, words_before = self._said(row[1], f"context of {place}")
                sequences |= {f"context_{name}": array for name, array in before.items()}
                texts |= {f"context_{name}": spoken for name, spoken in words_before.items()}
            row_id = as_text(row[2], f"the id of {place}")
            utterances.add(split_name(split), row_id, label(row[3], place), sequences, texts)
        return utterances

    def _said(self, part: object, place: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        spoken, visual, acoustic, hcf = parts(part, 4, place)
        arrays = {"vision": visual, "audio": acoustic, "hcf": hcf}
        sequences = {name: steps(array, f"{name} of the {place}") for name, array in arrays.items()}
        if self.features == "authors":
            sequences = {name: _columns(array, name, place) for name, array in sequences.items()}
        return sequences, {"text": words(spoken, f"words of the {place}")}


def _columns(array: np.ndarray, modality: str, place: str) -> np.ndarray:
    used = _USED[modality]
    if len(array) and array.shape[1] < (used.stop or 0):
        raise DataError(
            f"{modality} of the {place} has {array.shape[1]} columns, the authors use those up to {used.stop}; "
            "read what is there with --option features=all"
        )
    return array[:, used] if len(array) else array
