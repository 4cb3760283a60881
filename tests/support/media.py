"""Small videos and recordings in the containers that people have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def write_clip(path: Path, video: str = "mpeg4", audio: str = "", seconds: float = 1.0, rate: int = 10) -> Path:
    """A video that brightens with time and a tone of 440 Hz; the test is skipped where FFmpeg lacks a codec.

    Args:
        video, audio: codecs; "" for none.
    """
    av = pytest.importorskip("av", reason="the extra 'video' is not installed")
    try:
        with av.open(str(path), "w") as file:
            pictures = file.add_stream(video, rate=rate) if video else None
            sound = file.add_stream(audio, rate=48000) if audio else None
            if pictures is not None:
                pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
                for number in range(int(seconds * rate)):
                    picture = np.full((48, 64, 3), min(255, 10 * number), np.uint8)
                    file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                file.mux(pictures.encode())
            if sound is not None:
                tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)
                frame = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 48000, 0
                size = sound.frame_size or None
                resampler = av.AudioResampler(format=sound.format, layout="mono", rate=48000, frame_size=size)
                for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                    file.mux(sound.encode(piece))
                file.mux(sound.encode())
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"FFmpeg here cannot write {path.name}: {error}")
    return path
