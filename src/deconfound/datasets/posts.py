"""Posts with an image: one file of records per split, with id, label, text and the path of the image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    NO_EXTRACTOR,
    CorpusRows,
    ExtractorChoice,
    class_labels,
    dataset_of,
    raw_sources,
)
from deconfound.datasets.records import field, read_records, split_files
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError

LABELS = ("label", "emotion_label")
"""Names of the field with the label."""
SENTIMENTS = {name: name for name in ("positive", "neutral", "negative")}
SENTIMENTS |= {"0": "positive", "1": "neutral", "2": "negative"}
"""Label as MVSA writes it → its class, in the order of the classes; labels that are all among them are those of MVSA."""


def read_posts(
    path: Path,
    format_name: str,
    text: ExtractorChoice,
    image: ExtractorChoice,
    classes: Mapping[str, str] | None = None,
) -> Dataset:
    """The posts of a folder with train, dev and test as `.jsonl`, or as `.json` lists.

    Args:
        text: extractor of the texts; "none" for no such modality.
        image: extractor of the images, "" for the default one; "none" for no such modality.
        classes: label as written → class, in the order of the classes; by default the labels that occur, sorted.

    Raises:
        DataError: another layout, an unknown label, or an image that cannot be read.
    """
    files = split_files(path, (".jsonl", ".json"))
    records = [(split, record) for split, file in files.items() for record in _records(file)]
    try:
        written = [record["label"] for _, record in records]
        if classes is None and written and SENTIMENTS.keys() >= set(written):
            raise DataError(f"the labels, such as {written[0]!r}, are sentiments, which mvsa reads; expected dishes")
        task, labels = class_labels(
            [_class(label, classes) for label in written], list(dict.fromkeys(classes.values())) if classes else None
        )
        images = [record["image"] for _, record in records]
        rows = CorpusRows(
            ids=[record["id"] for _, record in records],
            split=[split for split, _ in records],
            labels=labels,
            raw=raw_sources("text", text, {"text": [record["text"] for _, record in records]})
            | raw_sources("image", image, {"image": images} if image == NO_EXTRACTOR or any(images) else {}, path),
            columns={"raw_text": [record["text"] for _, record in records], "file": [name or "" for name in images]},
        )
        checksums = {file.name: sha256(file) for file in files.values()}
        return dataset_of(path.name, task, rows, {"format": format_name, "file": path.name, "sha256": checksums})
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _class(label: str, classes: Mapping[str, str] | None) -> str:
    return label if classes is None else classes.get(label, label)


def _records(file: Path) -> list[dict[str, Any]]:
    """Records with the keys id, label, text and image."""
    return [
        {
            "id": field(record, ("id",), f"{file}: record {number}"),
            "label": field(record, LABELS, f"{file}: record {number}"),
            "text": field(record, ("text",), f"{file}: record {number}"),
            "image": str(record["img"]) if record.get("img") else None,
        }
        for number, record in enumerate(read_records(file), start=1)
    ]
