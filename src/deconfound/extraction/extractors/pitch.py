"""`pitch`: the fundamental frequency of a voice over time, by pYIN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.errors import SpecError
from deconfound.extraction.decode import Sound
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import RATE, MostSeconds, StepsPerSecond, WithTimes, librosa_, resample, with_times

_REFERENCE = 55.0
"""Hz from which semitones are counted."""


class Pitch(Extractor):
    """(T, 3) float32: semitones above 55 Hz, 0 where there is no voice; 1 where there is one; its probability.

    pYIN of Mauch & Dixon (2014), as librosa computes it. With `times` a fourth column holds the seconds.
    """

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        lowest: Annotated[float, Field(ge=20, le=2000, description="lowest pitch in Hz")] = 65.0,
        highest: Annotated[float, Field(ge=40, le=4000, description="highest pitch in Hz")] = 500.0,
        per_second: StepsPerSecond = 25.0,
        most_seconds: MostSeconds = 20.0,
        times: WithTimes = False,
    ) -> None:
        if highest < 2 * lowest:
            raise SpecError(f"pitch from {lowest:g} to {highest:g} Hz is less than an octave; widen the range")
        self.lowest, self.highest, self.times = lowest, highest, times
        self.per_second, self.most_seconds = per_second, most_seconds

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [with_times(self._track(sound), self.per_second, self.times) for sound in samples]

    def _track(self, sound: Sound) -> np.ndarray:
        samples = resample(sound)[: round(self.most_seconds * RATE)]
        hop = round(RATE / self.per_second)
        size = 1 << int(np.ceil(np.log2(4 * RATE / self.lowest)))  # four periods of the lowest pitch
        steps = 1 + len(samples) // hop
        pitch, voiced, probability = librosa_().pyin(
            np.pad(samples, (0, max(0, size - len(samples)))),
            fmin=self.lowest,
            fmax=self.highest,
            sr=RATE,
            frame_length=size,
            hop_length=hop,
            fill_na=_REFERENCE,
        )
        semitones = np.where(voiced, 12 * np.log2(pitch / _REFERENCE), 0.0)
        return np.stack([semitones, voiced, probability], axis=1)[:steps].astype(np.float32)
