"""What layout a file or folder has, from its content: for `--format auto`, and for the refusal of a wrong format."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from deconfound.data.dataset import Dataset
from deconfound.datasets.joblib_pickle import MAGIC
from deconfound.datasets.posts import LABELS, SENTIMENTS
from deconfound.datasets.readers.ch_sims import HEADER
from deconfound.datasets.records import read_records
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DataError
from deconfound.registry import build, names

AUTO = "auto"
"""The format that is guessed."""

_HEAD = 1 << 16  # bytes of a text file that are looked at
_MOST_ENTRIES = 10_000  # of a folder


@dataclass(frozen=True)
class Guess:
    """A reader, and what the source looks like, such as "a MultiBench pickle"."""

    reader: str
    looks: str

    def __str__(self) -> str:
        return f"this looks like {self.looks}: use --format {self.reader}"


def read_corpus(path: Path, reader: str, options: Mapping[str, Any]) -> tuple[Dataset, Guess | None]:
    """Read a source with a reader, or with the one that its content suggests.

    Args:
        reader: name of a reader, or "auto".
        options: arguments of the reader.

    Returns:
        The dataset, and the guess if the format was guessed.

    Raises:
        DataError: the source cannot be read; the message names the right reader where the content looks like another layout.
        SpecError: no such reader, or an option that it does not have.
    """
    if reader == AUTO:
        guess = recognise(path)
        if guess is None:
            reason = "its content is of no known layout" if path.exists() else "No such file or directory"
            raise DataError(f"cannot read {path}: {reason}; name one with --format: {', '.join(names('readers'))}")
        return build("readers", guess.reader, **options).read(path), guess
    component = build("readers", reader, **options)
    try:
        return component.read(path), None
    except DataError as error:
        guess = recognise(path)
        if guess is None or guess.reader == reader:
            raise
        raise DataError(f"{error}; {guess}") from error


def recognise(path: Path) -> Guess | None:
    """The layout of a source; None if it is missing or has no known one. Nothing in it is executed."""
    try:
        guess = _folder(path) if path.is_dir() else _file(path)
    except (DataError, OSError, ValueError, csv.Error, RecursionError):
        return None
    return None if guess is None else Guess(guess, _LOOKS[guess])


_LOOKS = {
    "cider": "a file of CIDer, which joblib wrote",
    "csd": "the folder of .csd files of the CMU Multimodal SDK",
    "ch-sims": "the label table of CH-SIMS",
    "food101": "the folder of Food-101",
    "hfm": "the folder of HFM",
    "hkt": "a pickle of HKT",
    "hugging-face": "a data set of the library datasets, or Parquet files",
    "imagefolder": "a folder of images by class",
    "mag-bert": "a pickle of MAG-BERT",
    "meld": "the folder of MELD",
    "misa": "the folder of MISA",
    "mmsa": "a pickle of MMSA",
    "multibench": "a MultiBench pickle",
    "mustard": "the texts of MUStARD",
    "mvsa": "the folder of MVSA",
    "synthetic": "parameters of synthetic data",
    "table": "the description of a table",
}
"""Reader → what its sources are called."""
_FOLDERS = {
    "train.pkl": "misa",
    "*.csd": "csd",
    "dataset_dict.json": "hugging-face",
    "train-*.parquet": "hugging-face",
    "data/train-*.parquet": "hugging-face",
    "sarcasm_data.json": "mustard",
    "train_sent_emo.csv": "meld",
    "text/train.txt": "hfm",
    "dataset_image": "hfm",
}
"""Pattern of a file in a folder → reader; the first that fits."""
_MODES = ("train", "valid", "test")
_IMAGES = re.compile(r"(?i).*\.(jpe?g|png|webp|bmp|gif)")


def _folder(path: Path) -> str | None:
    reader = next((reader for pattern, reader in _FOLDERS.items() if next(path.glob(pattern), None)), None)
    return reader or _posts(path) or _images(path)


def _posts(path: Path) -> str | None:
    """MVSA by its three labels, Food-101 by others."""
    file = next((file for file in sorted(path.glob("*train*.json*")) if file.is_file()), None)
    if file is None:
        return None
    records = read_records(file)
    labels = {str(record.get(name)) for record in records for name in LABELS if name in record}
    if not labels or "text" not in records[0]:
        return None
    return "mvsa" if labels <= SENTIMENTS.keys() else "food101"


def _images(path: Path) -> str | None:
    nested = islice(chain(path.glob("*/*"), path.glob("*/*/*")), _MOST_ENTRIES)
    return "imagefolder" if any(_IMAGES.fullmatch(entry.name) for entry in nested) else None


def _file(path: Path) -> str | None:
    with open(path, "rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", errors="replace")
    match path.suffix.lower():
        case ".toml":
            return "table" if "[modalities" in head else "synthetic"
        case ".csv":
            first = next(csv.reader([head.partition("\n")[0].strip()]), [])
            named = {"video_id", "clip_id"} <= set(first)
            return "ch-sims" if named or (len(first) == len(HEADER) and first[-1] in _MODES) else None
        case ".json":
            return "mustard" if '"utterance"' in head and '"sarcasm"' in head else None
        case ".parquet":
            return "hugging-face"
        case _:
            return _pickle(path)


def _pickle(path: Path) -> str | None:
    with open(path, "rb") as file:
        if MAGIC in file.read(_HEAD):
            return "cider"
    content = read_pickle(path).content
    if isinstance(content, list):
        return "misa" if _tuple_sizes(content)[:2] == (3, 4) else None
    rows = content.get("train") if isinstance(content, dict) else None
    if isinstance(rows, dict):
        return "mmsa" if "regression_labels" in rows else "multibench" if "labels" in rows else None
    by_sizes: dict[tuple[int, ...], str] = {(3, 3): "mag-bert", (4, 4): "hkt"}
    return by_sizes.get(_tuple_sizes(rows)) if isinstance(rows, list) else None


def _tuple_sizes(rows: list[Any]) -> tuple[int, ...]:
    """Values of the first row, and of its first value."""
    sizes: list[int] = []
    value: object = rows
    for _ in range(2):
        value = next(islice(value, 1), None) if isinstance(value, list | tuple) else None
        sizes += [len(value)] if isinstance(value, list | tuple) else []
    return tuple(sizes)
