"""`mfcc`: cepstral coefficients of a recording over time, with their slopes and the energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import librosa_, log_mel


class Mfcc(Extractor):
    """(T, 2·count + 1) float32: coefficients, their slopes over nine steps, and the mean log power."""

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        count: Annotated[int, Field(ge=1, le=40, description="coefficients")] = 20,
        per_second: Annotated[float, Field(ge=1, le=200, description="steps per second")] = 25.0,
        most_seconds: Annotated[float, Field(gt=0, le=3600, description="seconds that are read")] = 20.0,
    ) -> None:
        self.count, self.per_second, self.most_seconds = count, per_second, most_seconds

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [self._features(sound) for sound in samples]

    def _features(self, sound: Any) -> np.ndarray:
        power = log_mel(sound, 64, self.per_second, self.most_seconds)
        cepstrum = librosa_().feature.mfcc(S=10 * power.T, n_mfcc=self.count)
        slopes = librosa_().feature.delta(cepstrum, mode="nearest")
        return np.concatenate([cepstrum.T, slopes.T, power.mean(axis=1, keepdims=True)], axis=1).astype(np.float32)
