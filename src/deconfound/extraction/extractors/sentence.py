"""`sentence`: one vector per text, the mean over the word pieces of a frozen text model, at length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.hidden_states import text_hidden_states
from deconfound.extraction.text_model import PACKAGED, MostPieces, TextModel, text_model_checksum


class Sentence(Extractor):
    """(1, D) sentence vectors as Reimers & Gurevych (2019) pool them."""

    kind = "text"
    batch = 128  # sorted by length, so more rows have less padding

    def __init__(
        self,
        *,
        model: TextModel = PACKAGED,
        most: MostPieces = 256,
    ) -> None:
        self.name, self.most = model, most

    def model(self) -> dict[str, str]:
        return {"model": self.name, "sha256": text_model_checksum(self.name)}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        vectors = [states.mean(axis=0, keepdims=True) for states in text_hidden_states(self.name, samples, self.most)]
        return [vector / max(float(np.linalg.norm(vector)), 1e-12) for vector in vectors]
