"""Images in folders that are named after their classes.

Layout: `train/CLASS/*.jpg`, `val/CLASS/*.jpg`, `test/CLASS/*.jpg`, or `CLASS/*.jpg` without splits, which are then drawn at
random, with the classes in equal shares. The endings are those of images, such as .jpg, .png and .webp.

`id` is the path of the image in the folder. Links that lead out of the folder are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    CorpusRows,
    ExtractorChoice,
    class_labels,
    dataset_of,
    raw_sources,
    split_name,
)
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.stratified import stratified_split
from deconfound.errors import DataError
from deconfound.extraction.kinds import ENDINGS

SHARES = {"train": 0.7, "valid": 0.15, "test": 0.15}
"""Shares of the rows where the folder has no splits."""


class ImagefolderReader(Reader):
    """Read images whose folder is their class."""

    card = ReaderCard(
        source="your own images, or any corpus in the layout of torchvision's ImageFolder",
        licence="the terms of your images",
        access="make a folder for each split, and in it one for each class",
        layout="train/CLASS/*.jpg, val/CLASS/*.jpg, test/CLASS/*.jpg; or CLASS/*.jpg",
        known_defects=("equal images in two splits are not refused; 'deconfound data check' finds equal rows",),
    )

    def __init__(
        self,
        *,
        image: Annotated[ExtractorChoice, Field(description="extractor of the images, blank for the default one")] = "",
        seed: Annotated[int, Field(ge=0, description="of random splits, where the folder has none")] = 0,
    ) -> None:
        self.image, self.seed = image, seed

    def read(self, path: Path) -> Dataset:
        if not path.exists():
            raise DataError(f"cannot read {path}: No such file or directory; check its name")
        if not path.is_dir():
            raise DataError(f"{path} is a file; name the folder that holds train, val and test")
        splits = {folder.name: folder for folder in _folders(path)}
        drawn = "train" not in splits
        roots = {"": path} if drawn else {split_name(name): folder for name, folder in splits.items()}
        images = [
            (split, folder.name, file)
            for split, root in roots.items()
            for folder in _folders(root)
            for file in _images(folder)
        ]
        try:
            if not images:
                raise DataError("there is no image; expected train/CLASS/NAME.jpg or CLASS/NAME.jpg")
            files = [file.relative_to(path).as_posix() for _, _, file in images]
            labels = [label for _, label, _ in images]
            split = stratified_split(files, labels, SHARES, self.seed) if drawn else [name for name, _, _ in images]
            task, codes = class_labels(labels)
            rows = CorpusRows(files, split, codes, raw=raw_sources("image", self.image, {"image": files}, path))
            provenance = {"format": "imagefolder", "file": path.name, "images": len(files)}
            return dataset_of(path.name, task, rows, provenance | ({"seed": self.seed} if drawn else {}))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """Images directly in a folder."""
    return sorted(file for file in folder.iterdir() if ENDINGS.get(file.suffix.lower()) == "image")
