"""`speech-segments`: where a recording holds speech, and the mean spectrum of each stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from deconfound.extraction.decode import Sound
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.spectra import RATE, MostSeconds, log_mel, resample
from deconfound.extraction.voice_activity import Segments, loud_segments, silero_checksum, silero_segments

_PER_SECOND = 100.0


class SpeechSegments(Extractor):
    """(T, mels + 2) float32, a step per stretch: the mean of its `log-mel`, its start and its duration in seconds.

    A recording without any has no step: its row lacks the modality. "energy" finds stretches less than 30 dB below the
    loudest, whatever they are; "silero" finds speech, with the model that the package silero-vad carries (MIT).
    """

    kind = "audio"
    batch = 8

    def __init__(
        self,
        *,
        detector: Annotated[
            Literal["energy", "silero"], Field(description="what finds the stretches; silero needs deconfound[speech]")
        ] = "energy",
        mels: Annotated[int, Field(ge=4, le=256, description="mel bands")] = 64,
        most_seconds: MostSeconds = 60.0,
    ) -> None:
        self.detector, self.mels, self.most_seconds = detector, mels, most_seconds

    def model(self) -> dict[str, str]:
        return {"model": "silero-vad", "sha256": silero_checksum()} if self.detector == "silero" else {}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [self._segments(sound) for sound in samples]

    def _segments(self, sound: Sound) -> np.ndarray:
        samples = resample(sound)[: round(self.most_seconds * RATE)]
        segments: Segments = silero_segments(samples) if self.detector == "silero" else loud_segments(samples)
        power = log_mel(Sound(samples, RATE), self.mels, _PER_SECOND, self.most_seconds)
        rows = np.zeros((len(segments), self.mels + 2), dtype=np.float32)
        for row, (start, stop) in zip(rows, segments, strict=True):
            first = min(round(start * _PER_SECOND), len(power) - 1)
            row[:-2] = power[first : max(first + 1, round(stop * _PER_SECOND))].mean(axis=0)
            row[-2:] = start, stop - start
        return rows
