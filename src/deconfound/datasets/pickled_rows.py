"""Parts of pickles that hold one tuple per row: words, arrays, labels and ids, checked one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.data.one_label import ONE_LABEL
from deconfound.datasets.steps import sha256
from deconfound.datasets.unpickle import Unpickled
from deconfound.errors import DataError

_SENTIMENT_AND_EMOTIONS = 7


def dict_of_splits(content: object) -> dict[str, Any]:
    """The content of a pickle that is a dict with "train".

    Raises:
        DataError: anything else.
    """
    if not isinstance(content, dict) or "train" not in content:
        raise DataError(f"the pickle holds {held(content)}; expected a dict with train, dev or valid, and test")
    return content


def iterate_rows(splits: Mapping[str, object], length: int) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """The split, the place for errors, and the row, which is a tuple of `length` values.

    Raises:
        DataError: a split that is not a list of such tuples, or is empty.
    """
    for split, rows in splits.items():
        if not isinstance(rows, list | tuple) or not rows:
            raise DataError(f"the split {split[:40]!r} is {held(rows)}; expected a list of one tuple per row")
        for number, row in enumerate(rows):
            place = f"row {number} of {split[:40]!r}"
            yield split, place, parts(row, length, place)


def parts(value: object, length: int, place: str) -> Sequence[Any]:
    """A tuple or list of `length` values.

    Raises:
        DataError: anything else.
    """
    if not isinstance(value, list | tuple) or len(value) != length:
        raise DataError(f"{place} is {held(value)}; expected a tuple of {length}")
    return value


def words(value: object, place: str) -> str:
    """Words joined by spaces; a text is taken as it is.

    Raises:
        DataError: anything but texts.
    """
    values = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if isinstance(values, str | bytes):
        return as_text(values, place)
    if not isinstance(values, list | tuple):
        raise DataError(f"{place} is {held(value)}; expected a list of words")
    return " ".join(as_text(word, place) for word in values)


def as_text(value: object, place: str) -> str:
    """A text, or the text of bytes or of a number.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode(errors="replace")
    if type(value) not in (str, int, float):
        raise DataError(f"{place} is {held(value)}; expected a text")
    return str(value)


def steps(value: object, place: str) -> np.ndarray:
    """(T, D) numbers; an empty list is (0, 0), and one axis is one step.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, list | tuple) and not value:
        return np.empty((0, 0), dtype=np.float32)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim not in (1, 2):
        raise DataError(f"{place} is {held(value)}; expected an array of numbers, (steps, features)")
    return value if value.ndim == 2 else value.reshape(min(1, value.size), value.size)


def label(value: object, place: str) -> float:
    """A label: a number, an array of one, or the sentiment, the first of the seven numbers of CMU-MOSEI.

    Raises:
        DataError: anything else, or NaN.
    """
    if isinstance(value, np.ndarray) and value.size not in (0, 1, _SENTIMENT_AND_EMOTIONS):
        raise DataError(f"the label of {place} has the shape {value.shape}; expected one number; {ONE_LABEL}")
    first: object = value.reshape(-1)[0].item() if isinstance(value, np.ndarray) and value.size else value
    if isinstance(first, bool | int | float) and first == first:
        return float(first)
    raise DataError(f"the label of {place} is {held(first)}; expected a number")


def provenance(name: str, path: Path, pickled: Unpickled) -> dict[str, Any]:
    """Format, file, size and checksum."""
    return {"format": name, "file": path.name, "bytes": pickled.size, "sha256": sha256(path)}


def held(value: object) -> str:
    """What a value is, for an error."""
    if value is None:
        return "missing"
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} {value.shape}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, dict):
        return f"a dict with {[str(key)[:40] for key in value][:5]}"
    return repr(value)[:40] if isinstance(value, str | int | float) else f"a {type(value).__name__}"
