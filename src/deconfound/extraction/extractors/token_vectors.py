"""`token-vectors`: the hidden states of a frozen text model, one step per word piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.hidden_states import text_hidden_states
from deconfound.extraction.text_model import PACKAGED, MostPieces, TextModel, text_model_checksum


class TokenVectors(Extractor):
    """(T, D) hidden states of the last layer."""

    kind = "text"
    batch = 128  # sorted by length, so more rows have less padding

    def __init__(
        self,
        *,
        model: TextModel = PACKAGED,
        most: MostPieces = 64,
    ) -> None:
        self.name, self.most = model, most

    def model(self) -> dict[str, str]:
        return {"model": self.name, "sha256": text_model_checksum(self.name)}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return text_hidden_states(self.name, samples, self.most)
