"""Small files in exactly the layouts that the field exchanges, for the tests of the readers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

VIDEOS = {"train": ("a", "b", "c"), "dev": ("d",), "test": ("e", "f")}
WORDS = ("so", "this", "was", "really", "good")


def steps(generator: np.random.Generator, length: int, width: int) -> np.ndarray:
    return generator.normal(size=(length, width)).astype(np.float32)


def mag_bert_content(seed: int = 0) -> dict[str, list[Any]]:
    """{train, dev, test} → ((words, visual (T, 47), acoustic (T, 74)), label (1, 1), segment)."""
    generator = np.random.default_rng(seed)
    return {
        split: [
            (
                (list(WORDS[: 1 + n]), steps(generator, 1 + n, 47), steps(generator, 1 + n, 74)),
                np.array([[generator.uniform(-3, 3)]], dtype=np.float32),
                f"{video}[{n}]",
            )
            for video in videos
            for n in range(3)
        ]
        for split, videos in VIDEOS.items()
    }


def misa_content(split: str, seed: int = 0, emotions: int = 0) -> list[Any]:
    """((word_ids, visual, acoustic, words), label (1, 1 + emotions), segment)."""
    generator = np.random.default_rng(seed)
    return [
        (
            (
                np.arange(1 + n),
                steps(generator, 1 + n, 47),
                steps(generator, 1 + n, 74),
                list(WORDS[: 1 + n]),
            ),
            generator.uniform(-3, 3, (1, 1 + emotions)).astype(np.float32),
            f"{split}{video}[{n}]",
        )
        for video in "ab"
        for n in range(3)
    ]


def hkt_content(seed: int = 0, context: bool = True) -> dict[str, list[Any]]:
    """{train, dev, test} → (punchline, context, id, label), each said (words, visual 91, acoustic 81, hcf 4)."""
    generator = np.random.default_rng(seed)

    def said(length: int) -> tuple[Any, ...]:
        arrays = (steps(generator, length, width) for width in (91, 81, 4))
        return (list(WORDS[:length]), *arrays)

    return {
        split: [
            (said(1 + n), said(n if context else 0), f"{split}{video}_{n}", n % 2) for video in videos for n in range(4)
        ]
        for split, videos in VIDEOS.items()
    }


def multibench_content(seed: int = 0, binary: bool = False) -> dict[str, dict[str, Any]]:
    """{train, valid, test} → vision, audio, text (N, 5, D) padded in front, labels (N, 1, 1), id (N, 3)."""
    generator = np.random.default_rng(seed)
    content: dict[str, dict[str, Any]] = {}
    for split, videos in VIDEOS.items():
        ids = [[video, str(n), str(n + 1)] for video in videos for n in range(3)]
        labels = np.array([n % 2 for n in range(len(ids))]) if binary else generator.uniform(-3, 3, len(ids))
        part: dict[str, Any] = {"labels": labels.reshape(-1, 1, 1), "id": np.array(ids)}
        for modality, width in {"vision": 35, "audio": 74, "text": 300}.items():
            values = steps(generator, len(ids) * 5, width).reshape(len(ids), 5, width)
            for row in range(len(ids)):
                values[row, : row % 3] = 0
            part[modality] = values
        content["valid" if split == "dev" else split] = part
    return content


def write(path: Path, content: object) -> Path:
    """A pickle of the content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return path


def write_misa(folder: Path, tests: tuple[str, ...] = ("test",), emotions: int = 0) -> Path:
    """The folder of MISA, or with tests ("test_IID", "test_OOD") that of CLUE."""
    for seed, split in enumerate(("train", "dev", *tests)):
        write(folder / f"{split}.pkl", misa_content(split, seed, emotions))
    (folder / "embedding_and_mapping.pt").write_bytes(b"PK\x03\x04 never opened")
    return folder


def write_pickled(name: str, folder: Path) -> Path:
    """The source of a reader of pickles."""
    if name == "misa":
        return write_misa(folder / "misa")
    content = {"mag-bert": mag_bert_content, "hkt": hkt_content, "multibench": multibench_content}[name]()
    return write(folder / f"{name}.pkl", content)
