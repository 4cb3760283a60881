"""Raw samples of each kind, ordinary ones and the shortest that there are, for the laws of extractors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deconfound.extraction.decode import Sound
from deconfound.extraction.kinds import RawKind

_WORDS = ["nothing", "in", "it", "works", "and", "the", "end", "is", "worse", "than", "that"]


def ordinary_samples(kind: RawKind, folder: Path, seed: int) -> list[Any]:
    """Four samples of different lengths or sides, as `deconfound.extraction.decode.decode` reads them.

    Args:
        folder: for videos, which are files; they need the package av.
    """
    draw = np.random.default_rng(seed)
    if kind == "text":
        return [" ".join(draw.choice(_WORDS, count)) for count in (3, 40, 8, 1)]
    if kind == "image":
        sides = ((20, 40), (60, 40), (224, 224), (9, 31))
        return [draw.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
    if kind == "audio":
        return [
            _sound(draw, seconds, rate) for seconds, rate in ((1.0, 8000), (0.4, 16000), (2.0, 44100), (1.2, 16000))
        ]
    return [_video(folder / f"{frames}.mp4", frames, draw) for frames in (12, 5, 20, 8)]


def edge_samples(kind: RawKind, folder: Path, seed: int) -> list[Any]:
    """The shortest and emptiest samples; an extractor may refuse each."""
    draw = np.random.default_rng(seed)
    if kind == "text":
        return ["", " ", "a", "\0", "word " * 20_000, "🙂 é ﷽"]
    if kind == "image":
        return [draw.integers(0, 256, (*side, 3), dtype=np.uint8) for side in ((1, 1), (1, 400), (400, 1), (2, 3))]
    if kind == "audio":
        silence = Sound(np.zeros(8000, dtype=np.float32), 16000)
        return [
            silence,
            *(_sound(draw, seconds, rate) for seconds, rate in ((1e-9, 16000), (0.01, 44100), (1, 192_000))),
        ]
    return [_video(folder / "one.mp4", 1, draw)]


def _sound(draw: np.random.Generator, seconds: float, rate: int) -> Sound:
    """A voice-like tone between two pauses, in noise; at least one sample."""
    time = np.arange(max(1, round(seconds * rate))) / rate
    tone = sum(np.sin(2 * np.pi * 140 * overtone * time) / overtone for overtone in (1, 2, 3, 4))
    loud = (time > 0.2 * seconds) & (time < 0.8 * seconds)
    return Sound((0.2 * tone * loud + draw.normal(0, 1e-4, len(time))).astype(np.float32), rate)


def _video(path: Path, frames: int, draw: np.random.Generator) -> Path:
    """A video of 8 frames a second, each of one shade."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in draw.integers(0, 256, frames):
            picture = np.full((48, 64, 3), shade, dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path
