"""`log-mel`: the power of a recording in mel bands over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import MostSeconds, StepsPerSecond, WithTimes, log_mel, with_times


class LogMel(Extractor):
    """(T, mels) float32, log10 of power, of one channel at 16 kHz; with `times` a last column holds the seconds."""

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        mels: Annotated[int, Field(ge=4, le=256, description="mel bands")] = 64,
        per_second: StepsPerSecond = 25.0,
        most_seconds: MostSeconds = 20.0,
        times: WithTimes = False,
    ) -> None:
        self.times = times
        self.mels, self.per_second, self.most_seconds = mels, per_second, most_seconds

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        powers = (log_mel(sound, self.mels, self.per_second, self.most_seconds) for sound in samples)
        return [with_times(power, self.per_second, self.times) for power in powers]
