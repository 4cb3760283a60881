"""Spectra of recordings, by librosa."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconfound.extraction.decode import Sound, needs

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


def resample(sound: Sound) -> np.ndarray:
    """(S,) float32 at `RATE`."""
    if sound.rate == RATE:
        return sound.samples
    return librosa_().resample(sound.samples, orig_sr=sound.rate, target_sr=RATE).astype(np.float32)
