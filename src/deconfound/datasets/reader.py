"""`Reader`: turns the files of a corpus into a `Dataset`, found by the name that follows `--format`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deconfound.data.dataset import Dataset


@dataclass(frozen=True)
class ReaderCard:
    """Facts about the files of a reader that a user needs before importing them; `deconfound show NAME` prints them.

    Args:
        source: who collected or published the data, with a citation.
        licence: terms of use.
        access: where to get the files.
        layout: files and their contents.
        known_defects: errors in the published files, and how the reader treats them.
    """

    source: str
    licence: str
    access: str
    layout: str
    known_defects: tuple[str, ...] = ()


class Reader(ABC):
    """Base of all readers. A subclass declares `card` and takes its options as keyword-only constructor arguments.

    A module of `deconfound.datasets.readers` is the reader of its name. Another package adds one with an entry point of
    the group `deconfound.readers`.

    Raises:
        TypeError: a subclass without a `ReaderCard`.
    """

    card: ClassVar[ReaderCard]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not isinstance(getattr(cls, "card", None), ReaderCard):
            raise TypeError(f"{cls.__name__} needs a class attribute card = ReaderCard(...)")

    @abstractmethod
    def read(self, path: Path) -> Dataset:
        """Read the file or folder at `path` without executing anything in it.

        Raises:
            DataError: a missing file, another layout, or rows that `Dataset.build` refuses; one line with the remedy.
        """
