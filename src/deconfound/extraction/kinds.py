"""Kinds of raw samples, by the endings of names and by the first bytes of files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

RawKind = Literal["text", "image", "audio", "video"]
KINDS: tuple[RawKind, ...] = get_args(RawKind)

ENDINGS: dict[str, RawKind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"), "image"),
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".mkv", ".webm", ".mov", ".avi"), "video"),
}
"""Ending of a file, in lower case, → kind."""

_BEGINNINGS: dict[bytes, RawKind] = {
    b"\xff\xd8\xff": "image",
    b"\x89PNG\r\n": "image",
    b"GIF8": "image",
    b"BM": "image",
    b"fLaC": "audio",
    b"OggS": "audio",
    b"ID3": "audio",
    b"\xff\xfb": "audio",
    b"\xff\xf3": "audio",
    b"\xff\xf2": "audio",
    b"\xff\xf1": "audio",
    b"\x1aE\xdf\xa3": "video",
}
_RIFF: dict[bytes, RawKind] = {b"WAVE": "audio", b"WEBP": "image", b"AVI ": "video"}


def kind_of_name(name: str) -> RawKind | None:
    """The kind by the ending of a name, None for any other ending."""
    return ENDINGS.get(Path(name[-300:]).suffix.lower())


def kind_of_bytes(content: bytes) -> RawKind | None:
    """The kind by the first bytes of a file, None for any others."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return "audio" if content[8:11] == b"M4A" else "video"
    return next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)
