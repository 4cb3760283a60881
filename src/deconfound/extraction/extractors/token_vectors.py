"""`token-vectors`: the hidden states of a frozen text model, one step per word piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.hidden_states import text_hidden_states
from deconfound.extraction.text_model import PACKAGED, text_model_checksum


class TokenVectors(Extractor):
    """(T, D) hidden states of the last layer."""

    kind = "text"

    def __init__(
        self,
        *,
        model: Annotated[
            str, Field(description="packaged model, local folder, or name of the Hugging Face hub")
        ] = PACKAGED,
        most: Annotated[int, Field(ge=4, le=8192, description="word pieces that are read; the rest is cut off")] = 64,
    ) -> None:
        self.name, self.most = model, most

    def model(self) -> dict[str, str]:
        return {"model": self.name, "sha256": text_model_checksum(self.name)}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return text_hidden_states(self.name, samples, self.most)
