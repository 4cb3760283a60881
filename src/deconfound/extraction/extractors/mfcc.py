"""`mfcc`: cepstral coefficients of a recording over time, with their slopes and the energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import MostSeconds, StepsPerSecond, WithTimes, librosa_, log_mel, with_times


class Mfcc(Extractor):
    """(T, 2·count + 1) float32: coefficients, their slopes over nine steps, and the mean log power.

    With `times` a last column holds the seconds.
    """

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        count: Annotated[int, Field(ge=1, le=40, description="coefficients")] = 20,
        per_second: StepsPerSecond = 25.0,
        most_seconds: MostSeconds = 20.0,
        times: WithTimes = False,
    ) -> None:
        self.times = times
        self.count, self.per_second, self.most_seconds = count, per_second, most_seconds

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [with_times(self._features(sound), self.per_second, self.times) for sound in samples]

    def _features(self, sound: Any) -> np.ndarray:
        power = log_mel(sound, 64, self.per_second, self.most_seconds)
        cepstrum = librosa_().feature.mfcc(S=10 * power.T, n_mfcc=self.count)
        slopes = librosa_().feature.delta(cepstrum, mode="nearest")
        return np.concatenate([cepstrum.T, slopes.T, power.mean(axis=1, keepdims=True)], axis=1).astype(np.float32)
