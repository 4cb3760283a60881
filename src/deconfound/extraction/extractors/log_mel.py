"""`log-mel`: the power of a recording in mel bands over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import log_mel


class LogMel(Extractor):
    """(T, mels) float32, log10 of power, of one channel at 16 kHz."""

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        mels: Annotated[int, Field(ge=4, le=256, description="mel bands")] = 64,
        per_second: Annotated[float, Field(ge=1, le=200, description="steps per second")] = 25.0,
        most_seconds: Annotated[float, Field(gt=0, le=3600, description="seconds that are read")] = 20.0,
    ) -> None:
        self.mels, self.per_second, self.most_seconds = mels, per_second, most_seconds

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [log_mel(sound, self.mels, self.per_second, self.most_seconds) for sound in samples]
