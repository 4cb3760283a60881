"""The data of multi-modal sarcasm detection (HFM): tweets with an image, one Python list per line.

Layout: a folder with `text/train.txt`, `text/valid2.txt` and `text/test2.txt`, and the images in `dataset_image`. Each line
is the text of a Python list, which is parsed and never executed:

| part | content | becomes |
|---|---|---|
| first | id | `id`; the image is `dataset_image/ID.jpg` |
| second | a tweet | the modality `text` by an extractor, and metadata `raw_text` |
| last | 0 or 1 | the class "no" or "yes"; lines with two labels end in the one that people gave |
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    FILES_OPTION,
    TEXT_OPTION,
    CorpusRows,
    ExtractorChoice,
    class_labels,
    dataset_of,
    raw_sources,
)
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.records import split_files
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError

_LONGEST_LINE = 1 << 16
_CLASSES = {0: "no", 1: "yes"}


class HfmReader(Reader):
    """Read tweets, their images and whether they are sarcastic; the lines are parsed, not executed."""

    card = ReaderCard(
        source="multi-modal sarcasm detection on Twitter (Cai et al., ACL 2019; "
        "github.com/headacheboy/data-of-multimodal-sarcasm-detection)",
        licence="none is stated",
        access="that repository; the images by its links",
        layout="a folder: text/train.txt, text/valid2.txt, text/test2.txt with one [id, text, label] per line, and "
        "dataset_image/ID.jpg",
        known_defects=(
            "valid2 and test2 have two labels per line, and the last is that of people: the reader takes it",
            "55 of 2,409 test texts stand in train too; 'deconfound data check' finds equal rows",
        ),
    )

    def __init__(
        self,
        *,
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        image: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = "",
    ) -> None:
        self.text, self.image = text, image

    def read(self, path: Path) -> Dataset:
        files = split_files(path / "text" if (path / "text").is_dir() else path, (".txt",))
        posts = [(split, *post) for split, file in files.items() for post in _posts(file)]
        try:
            task, labels = class_labels([label for *_, label in posts], ("no", "yes"))
            said = [spoken for _, _, spoken, _ in posts]
            images = [f"{row_id}.jpg" for _, row_id, _, _ in posts]
            rows = CorpusRows(
                ids=[row_id for _, row_id, _, _ in posts],
                split=[split for split, *_ in posts],
                labels=labels,
                raw=raw_sources("text", self.text, {"text": said})
                | raw_sources("image", self.image, {"image": images}, path / "dataset_image"),
                columns={"raw_text": said},
            )
            checksums = {file.name: sha256(file) for file in files.values()}
            return dataset_of(path.name, task, rows, {"format": "hfm", "file": path.name, "sha256": checksums})
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _posts(file: Path) -> list[tuple[str, str, str]]:
    """Id, text and class of each line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return [_post(line, f"{file}: line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _post(line: str, where: str) -> tuple[str, str, str]:
    if len(line) > _LONGEST_LINE:
        raise DataError(f"{where} has {len(line)} characters; expected a list [id, text, label]")
    try:
        parts = ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DataError(
            f"{where} is no list of text and numbers; nothing in it was executed: write [id, text, label]"
        ) from error
    if not isinstance(parts, list) or len(parts) not in (3, 4) or not all(isinstance(p, str | int) for p in parts):
        raise DataError(f"{where} is {line.strip()[:40]!r}; expected a list [id, text, label]")
    if parts[-1] not in _CLASSES:
        raise DataError(f"{where} has the label {parts[-1]!r}; expected 0 or 1")
    return str(parts[0]), str(parts[1]), _CLASSES[parts[-1]]
