"""`word-pieces`: the numbers of a text model's word pieces, for the encoder `pretrained-text`, which trains with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.text_model import PACKAGED, MostPieces, TextModel, tokenizer_checksum, word_pieces


class WordPieces(Extractor):
    """(T,) int64 word pieces, those of the text's beginning and end among them."""

    kind = "text"

    def __init__(
        self,
        *,
        model: TextModel = PACKAGED,
        most: MostPieces = 128,
    ) -> None:
        self.name, self.most = model, most

    def model(self) -> dict[str, str]:
        return {"model": self.name, "tokenizer": tokenizer_checksum(self.name)}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [np.array(row, dtype=np.int64) for row in word_pieces(self.name, list(samples), self.most)]
