"""UPMC Food-101: recipes with an image, as JSON lines.

Layout: a folder with `train.jsonl`, `dev.jsonl` and `test.jsonl`; each line has

| field | content | becomes |
|---|---|---|
| `id` | a text or number | `id` |
| `text` | the recipe's text | the modality `text` by an extractor, and metadata `raw_text` |
| `label` | such as `apple_pie` | the class; the classes are those that occur, sorted |
| `img` | path in the folder | the modality `image` by an extractor, and metadata `file` |
"""

from __future__ import annotations

from pathlib import Path

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import FilesChoice, TextChoice
from deconfound.datasets.posts import read_posts
from deconfound.datasets.reader import Reader, ReaderCard


class Food101Reader(Reader):
    """Read recipes, their images and the dish."""

    card = ReaderCard(
        source="UPMC Food-101 (Wang et al., ICME Workshops 2015), as exported by mmbt or QMF",
        licence="none is stated",
        access="the authors' page, and the repositories of mmbt and QMF for the splits",
        layout="a folder: train.jsonl, dev.jsonl, test.jsonl with id, label, text and img",
        known_defects=(
            "the common script draws train and dev without a seed, so that every laboratory has another split; the "
            "provenance holds the checksums of the files",
        ),
    )

    def __init__(
        self,
        *,
        text: TextChoice = "sentence",
        image: FilesChoice = "",
    ) -> None:
        self.text, self.image = text, image

    def read(self, path: Path) -> Dataset:
        return read_posts(path, "food101", self.text, self.image)
