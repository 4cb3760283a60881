"""Reading raw samples: a text, the pixels of an image, the samples of a recording. Files are hostile until read."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.errors import DataError
from deconfound.extraction.kinds import RawKind
from deconfound.extraction.raw import MOST_CHARACTERS, SampleError

MOST_PIXELS = 100_000_000
MOST_SECONDS = 3600
_BEYOND = 1.0
"""Seconds that are decoded beyond those that an extractor reads, so that resampling does not change their end."""
_SOUND_BEGINNINGS = (b"RIFF", b"fLaC", b"OggS")
_SOUND_FILES = (".wav", ".flac", ".mp3", ".ogg", ".opus")


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording with one channel.

    Args:
        samples: (S,) float32 in [−1, 1].
        rate: samples per second.
    """

    samples: np.ndarray
    rate: int


def needs(package: str, extra: str) -> DataError:
    """The error of a package that is not installed."""
    return DataError(f"this needs the package {package}; pip install 'deconfound[{extra}]'")


def decode(kind: RawKind, source: Any, most_seconds: float = MOST_SECONDS) -> Any:
    """What an extractor of the kind takes: a str, a (H, W, 3) uint8 image, a `Sound`, or a video as it is.

    Args:
        source: a text, the path or the bytes of a file, or an array.
        most_seconds: of a recording that an extractor reads; what lies more than a second beyond them is left out.

    Raises:
        SampleError: the file cannot be decoded, or is too large.
        DataError: a package is missing.
    """
    if kind == "text":
        return str(source)[:MOST_CHARACTERS]
    if kind == "image":
        return _image(source)
    if kind == "audio":
        return _sound(source, min(most_seconds, MOST_SECONDS) + _BEYOND)
    return source


def opened(source: Path | bytes) -> str | io.BytesIO:
    """What libraries take that read a file by its name, or from memory."""
    return io.BytesIO(source) if isinstance(source, bytes) else str(source)


def _image(source: Any) -> np.ndarray:
    if not isinstance(source, Path | bytes):
        return _pixels(np.asarray(source))
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise needs("pillow", "image") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata; a bomb is measured below
            with Image.open(opened(source)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise SampleError(f"has {image.width}×{image.height} pixels; at most {MOST_PIXELS} are read")
                image.draft("RGB", (512, 512))  # a JPEG is decoded at the size that is needed
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except SampleError:
        raise
    except Exception as error:  # decoders of images raise errors of any type
        raise SampleError(f"is not a readable image ({_line(error)})") from error


def _pixels(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of an image in memory: (H, W), (H, W, 1) or (H, W, 3), uint8 or floats in [0, 1]."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise SampleError(f"has the shape {image.shape}, not (H, W, 3)")
    if image.dtype.kind == "f":
        image = np.round(255 * np.clip(np.nan_to_num(image), 0, 1))
    return np.broadcast_to(image[..., :3], (*image.shape[:2], 3)).astype(np.uint8)


def _sound(source: Any, seconds: float) -> Sound:
    """The first seconds of a recording, as one channel."""
    if isinstance(source, tuple):
        samples, rate = np.asarray(source[0], dtype=np.float32), int(source[1])
        return _mono(samples[..., : max(0, round(seconds * rate))], rate)
    if not isinstance(source, Path | bytes):
        raise SampleError("is an array without a rate; give (samples, rate)")
    plain = source.suffix.lower() in _SOUND_FILES if isinstance(source, Path) else source[:4] in _SOUND_BEGINNINGS
    read = _file_sound if plain else _container_sound
    try:
        return read(source, seconds)
    except (SampleError, DataError):
        raise
    except Exception as error:  # decoders of sound raise errors of many types
        raise SampleError(f"is not a readable recording ({_line(error)})") from error


def _file_sound(source: Path | bytes, seconds: float) -> Sound:
    try:
        import soundfile
    except ImportError as error:
        raise needs("soundfile", "audio") from error
    with soundfile.SoundFile(opened(source)) as file:
        rate = int(file.samplerate)
        return _mono(file.read(round(seconds * rate), dtype="float32", always_2d=True).T, rate)


def _container_sound(source: Path | bytes, seconds: float) -> Sound:
    """The sound of a video or of a file that only FFmpeg reads."""
    try:
        import av
    except ImportError as error:
        raise needs("av", "video") from error
    with av.open(opened(source), "r") as file:
        if not file.streams.audio:
            raise SampleError("has no sound")
        rate = int(file.streams.audio[0].rate)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        parts, total = [], 0
        for frame in file.decode(audio=0):
            for piece in resampler.resample(frame):
                parts.append(piece.to_ndarray()[0])
                total += len(parts[-1])
            if total >= seconds * rate:
                break
    if not total:
        raise SampleError("has no sound")
    return _mono(np.concatenate(parts)[: round(seconds * rate)], rate)


def _mono(samples: np.ndarray, rate: int) -> Sound:
    """One channel of (S,) or (channels, S)."""
    if samples.size == 0 or rate <= 0:
        raise SampleError("has no samples")
    samples = samples.mean(axis=0) if samples.ndim == 2 else samples
    if not np.isfinite(samples).all():
        raise SampleError("holds samples that are not finite")
    return Sound(np.clip(samples, -1, 1).astype(np.float32), rate)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:120] or type(error).__name__
