"""Stretches of a recording that hold a voice."""

from __future__ import annotations

import hashlib
import warnings
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.extraction.decode import needs
from deconfound.extraction.spectra import RATE, librosa_

Segments = list[tuple[float, float]]
"""Start and end in seconds, in order, none meeting the next."""

_BELOW_LOUDEST = 30
"""Decibels below the loudest moment that still count as sound."""
_SILENCE = 1e-3
"""Greatest root mean square, of samples in [−1, 1], of a recording that is silent throughout: −60 dB."""
_GAP, _SHORTEST = 0.2, 0.1
"""Seconds: of the longest pause inside of a stretch, and of the shortest stretch."""
_FRAME, _HOP = 512, 160


def loud_segments(samples: np.ndarray) -> Segments:
    """Stretches that are less than 30 dB quieter than the loudest moment.

    Args:
        samples: (S,) float32 at `RATE`.
    """
    padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    loudest = librosa_().feature.rms(y=padded, frame_length=_FRAME, hop_length=_HOP).max()
    if loudest <= _SILENCE:
        return []
    parts = librosa_().effects.split(padded, top_db=_BELOW_LOUDEST, frame_length=_FRAME, hop_length=_HOP)
    end = len(samples) / RATE
    return joined([(start / RATE, min(stop / RATE, end)) for start, stop in parts.tolist()])


def joined(segments: Segments) -> Segments:
    """Stretches with short pauses between them as one, and no stretch that is very short."""
    whole: Segments = []
    for start, stop in segments:
        if whole and start - whole[-1][1] < _GAP:
            whole[-1] = whole[-1][0], stop
        else:
            whole.append((start, stop))
    return [(start, stop) for start, stop in whole if stop - start >= _SHORTEST]


def silero_segments(samples: np.ndarray) -> Segments:
    """Stretches of speech by the model silero-vad.

    Args:
        samples: (S,) float32 at `RATE`.

    Raises:
        DataError: the package is not installed.
    """
    import torch

    package, model = _silero()
    with torch.inference_mode():
        found = package.get_speech_timestamps(torch.from_numpy(samples.copy()), model, sampling_rate=RATE)
    return [(part["start"] / RATE, part["end"] / RATE) for part in found]


@cache
def silero_checksum() -> str:
    """SHA-256 of the weights.

    Raises:
        DataError: the package is not installed.
    """
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise needs("silero-vad", "speech")
    with open(Path(package.origin).parent / "data" / "silero_vad.jit", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _silero() -> tuple[Any, Any]:
    import torch

    threads = torch.get_num_threads()
    try:
        package = import_module("silero_vad")
    except ImportError as error:
        raise needs("silero-vad", "speech") from error
    finally:
        torch.set_num_threads(threads)  # the package sets one for the whole process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, in which the package keeps its model
        return package, package.load_silero_vad()
