"""Spectra of recordings, by librosa."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.decode import Sound, needs

StepsPerSecond = Annotated[float, Field(ge=1, le=200, description="steps per second")]
MostSeconds = Annotated[float, Field(gt=0, le=3600, description="seconds that are read")]
WithTimes = Annotated[bool, Field(description="a last column with the seconds of each step since the beginning")]
"""Arguments that all who read recordings share."""

RATE = 16000
"""Samples per second that recordings are brought to."""
WINDOW = 0.025
"""Least length of the window in seconds."""


def librosa_() -> Any:
    """The package librosa.

    Raises:
        DataError: it is not installed.
    """
    try:
        import librosa
    except ImportError as error:
        raise needs("librosa", "audio") from error
    return librosa


def log_mel(sound: Sound, mels: int, per_second: float, most_seconds: float) -> np.ndarray:
    """(T, mels) float32: log10 of the power in mel bands, floored at 1e−6, `per_second` steps a second."""
    librosa = librosa_()
    samples = resample(sound)[: round(most_seconds * RATE)]
    hop = round(RATE / per_second)
    window = max(round(WINDOW * RATE), hop)
    size = 1 << (window - 1).bit_length()
    power = librosa.feature.melspectrogram(
        y=np.pad(samples, (0, max(0, size - len(samples)))),
        sr=RATE,
        n_fft=size,
        win_length=window,
        hop_length=hop,
        n_mels=mels,
        power=2.0,
    )
    steps = 1 + len(samples) // hop
    return np.log10(np.maximum(power[:, :steps], 1e-6)).T.astype(np.float32)


def with_times(steps: np.ndarray, per_second: float, wanted: bool) -> np.ndarray:
    """(T, F) steps, or (T, F + 1) with the seconds of each.

    Args:
        per_second: steps a second, which is brought to whole samples at `RATE`.
    """
    if not wanted:
        return steps
    seconds = np.arange(len(steps)) * round(RATE / per_second) / RATE
    return np.concatenate([steps, seconds[:, None]], axis=1).astype(np.float32)


def resample(sound: Sound) -> np.ndarray:
    """(S,) float32 at `RATE`."""
    if sound.rate == RATE:
        return sound.samples
    return librosa_().resample(sound.samples, orig_sr=sound.rate, target_sr=RATE).astype(np.float32)
