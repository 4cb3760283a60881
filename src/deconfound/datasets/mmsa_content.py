"""The content of the pickle that sentiment tools exchange, checked before anything is copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconfound.data.one_label import ONE_LABEL
from deconfound.datasets.corpus_rows import split_name
from deconfound.datasets.unpickle import Unpickled
from deconfound.errors import DataError

MODALITIES = ("text", "audio", "vision")
SPLITS = ("train", "valid", "test")
SEPARATOR = "$_$"
_METADATA = {"raw_text": "raw_text", "annotations": "annotation"}
_USED = {*MODALITIES, *(f"{m}_lengths" for m in MODALITIES), *_METADATA}
_USED |= {"id", "regression_labels", "classification_labels"}
TOKENS = "text_bert"

Splits = Mapping[str, Mapping[str, object]]


@dataclass(eq=False)
class MmsaContent:
    """The checked parts of a dataset, not yet copied.

    Args:
        arrays: modality → one (n, T, D) array per split; emptied while they are copied.
        tokens: (N, 3, L) word pieces, their mask and segments, in place of the array "text"; or None.
        lengths: modality → (N,) steps of each row, or None.
        target: (N,) float32.
        metadata: columns of N values.
        split: (N,) split names.
        ignored: unused keys of the file, at most 20.
        size: bytes of the file.
        release: as in `Unpickled`.
    """

    arrays: dict[str, list[np.ndarray]]
    tokens: np.ndarray | None
    lengths: dict[str, np.ndarray | None]
    target: np.ndarray
    metadata: dict[str, Any]
    split: np.ndarray
    ignored: list[str]
    size: int
    release: Callable[[], None]


def check_content(pickled: Unpickled, text: str = "text") -> MmsaContent:
    """Check the layout and collect the columns of all splits; arrays stay where they are.

    Args:
        text: the key of the text, "text" or "text_bert".

    Raises:
        DataError: another layout, or parts that disagree in rows, steps or features.
    """
    splits = _splits(pickled.content)
    targets = {split: _numbers(split, "regression_labels", rows) for split, rows in splits.items()}
    counts = {split: len(target) for split, target in targets.items()}
    for split, rows in counts.items():
        if rows == 0:
            raise DataError(f"the split {split!r} is empty; give it rows or leave it out")
    kept = [modality for modality in _modalities(splits) if modality != "text" or text != TOKENS]
    arrays = {m: [_array(split, m, splits[split], n) for split, n in counts.items()] for m in kept}
    if sum(array.nbytes for sources in arrays.values() for array in sources) > pickled.size:
        raise DataError("modalities of several splits are the same array; each needs its own")
    metadata = _metadata(splits, counts)
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, which `check_rows` refuses
        target = np.concatenate(list(targets.values())).astype(np.float32)
    return MmsaContent(
        arrays,
        _tokens(splits, counts) if text == TOKENS else None,
        {m: _lengths(splits, m, arrays[m], metadata["id"]) for m in arrays},
        target,
        metadata,
        np.repeat(list(counts), list(counts.values())),
        sorted({key[:40] for rows in splits.values() for key in rows if key not in _USED | {text}})[:20],
        pickled.size,
        pickled.release,
    )


def _splits(content: object) -> Splits:
    if not isinstance(content, dict) or "train" not in content:
        keys = [key[:40] for key in content][:5] if isinstance(content, dict) else None
        held = f"a {type(content).__name__}" if keys is None else f"a dict with {keys}"
        raise DataError(f"the pickle holds {held}; expected a dict with {', '.join(SPLITS)}")
    splits: dict[str, Mapping[str, object]] = {}
    for written, rows in content.items():
        split = split_name(written)
        if not isinstance(rows, dict):
            raise DataError(f"the split {split!r} is a {type(rows).__name__}; expected a dict of arrays and lists")
        if split in splits:
            raise DataError(f"two splits are {split!r}, one of them is called {written!r}; keep one")
        splits[split] = rows
    return dict(sorted(splits.items(), key=lambda item: SPLITS.index(item[0]) if item[0] in SPLITS[:2] else 2))


def _modalities(splits: Splits) -> list[str]:
    splits_with = {m: [split for split, rows in splits.items() if rows.get(m) is not None] for m in MODALITIES}
    for modality, where in splits_with.items():
        if where and len(where) < len(splits):
            without = next(split for split in splits if split not in where)
            raise DataError(f"{modality!r} is in {where[0]!r} but not in {without!r}; give it to all splits or to none")
    modalities = [modality for modality, where in splits_with.items() if where]
    if not modalities:
        raise DataError(f"no split has any of {', '.join(MODALITIES)}; name the arrays so")
    return modalities


def _array(split: str, modality: str, rows: Mapping[str, object], count: int) -> np.ndarray:
    """(N, T, D) of any number type; a (N, D) array is one step."""
    array = rows[modality]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        actual = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise DataError(
            f"{modality!r} of {split!r} is {actual}; expected an array of numbers, (N, T, D) or (N, D): pad rows of unequal "
            f"length with zeros, and give their steps as {modality + '_lengths'!r}"
        )
    if len(array) != count or 0 in array.shape:
        raise DataError(
            f"{modality!r} of {split!r} has the shape {array.shape}; regression_labels has {count} rows: give each row one, "
            "of zeros where it lacks the modality"
        )
    return array[:, None] if array.ndim == 2 else array


def _tokens(splits: Splits, counts: Mapping[str, int]) -> np.ndarray:
    """(N, 3, L) whole numbers from 0, the second of the three 0 or 1."""
    arrays = []
    for split, rows in splits.items():
        array = rows.get(TOKENS)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 3 or array.shape[1] != 3:
            actual = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            raise DataError(
                f"{TOKENS!r} of {split!r} is {actual}; expected whole numbers, (N, 3, L), or --option text=text"
            )
        if len(array) != counts[split] or array.shape[2] == 0:
            raise DataError(
                f"{TOKENS!r} of {split!r} has the shape {array.shape}; regression_labels has {counts[split]} rows"
            )
        if not ((array >= 0) & (array < 2**31) & (array == np.floor(array))).all() or (array[:, 1] > 1).any():
            raise DataError(
                f"{TOKENS!r} of {split!r} holds no word pieces; expected whole numbers from 0, and a mask of 0 and 1"
            )
        arrays.append(array)
    if len({array.shape[2] for array in arrays}) > 1:
        raise DataError(
            f"{TOKENS!r} has different lengths in the splits: {sorted({a.shape[2] for a in arrays})}; pad them alike"
        )
    return np.concatenate(arrays).astype(np.int64)


def _lengths(splits: Splits, modality: str, arrays: list[np.ndarray], ids: list[str]) -> np.ndarray | None:
    """(N,) steps of each row, or None where the file has none; checks that all splits have the same steps and features."""
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise DataError(
            f"{modality!r} has different steps and features in the splits: {sorted(shapes)}; pad them alike"
        )
    key = f"{modality}_lengths"
    splits_with = [split for split, rows in splits.items() if rows.get(key) is not None]
    if not splits_with:
        return None
    if len(splits_with) < len(splits):
        raise DataError(f"{key!r} is in {splits_with[0]!r} but not in all splits; give it to all or to none")
    zipped = zip(splits.items(), arrays, strict=True)
    lengths = np.concatenate([_numbers(split, key, rows, len(array)) for (split, rows), array in zipped])
    steps = arrays[0].shape[1]
    wrong = np.flatnonzero(~((lengths >= 0) & (lengths <= steps) & (lengths == np.floor(lengths))))
    if len(wrong):
        raise DataError(
            f"{key!r} of {ids[wrong[0]]!r} is {lengths[wrong[0]]:g}; the array has {steps} steps: give each "
            "row their number, 0 where it lacks the modality"
        )
    return lengths.astype(np.int64)


def _numbers(split: str, key: str, rows: Mapping[str, object], count: int | None = None) -> np.ndarray:
    """(N,) float64 from a list of numbers or an array of shape (N,) or (N, 1)."""
    values = rows.get(key)
    if isinstance(values, list) and all(type(value) in (int, float, bool) for value in values):
        values = np.array(values, dtype=np.float64)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        actual = "missing" if values is None else f"a {type(values).__name__} of something other than numbers"
        raise DataError(f"{key!r} of {split!r} is {actual}; expected one number for each row")
    if values.ndim == 0 or values.size != len(values):
        remedy = "" if key.endswith("_lengths") else f"; {ONE_LABEL}"
        raise DataError(f"{key!r} of {split!r} has the shape {values.shape}; expected one number for each row{remedy}")
    if count is not None and len(values) != count:
        raise DataError(
            f"{key!r} of {split!r} has {len(values)} rows; regression_labels has {count}: give each row one"
        )
    return values.reshape(-1).astype(np.float64)


def _texts(split: str, key: str, rows: Mapping[str, object], count: int) -> list[str]:
    values = rows[key]
    if isinstance(values, np.ndarray) and values.dtype.kind in "USiu" and values.size == len(values):
        values = values.reshape(-1).tolist()
    if not isinstance(values, list) or any(type(value) not in (str, bytes, int, float) for value in values):
        held = f"the shape {values.shape}" if isinstance(values, np.ndarray) else f"the type {type(values).__name__}"
        raise DataError(
            f"{key!r} of {split!r} is not a list of texts; it has {held}: give one text a row, such as "
            f"'video{SEPARATOR}segment' for an id of several parts"
        )
    if len(values) != count:
        raise DataError(
            f"{key!r} of {split!r} has {len(values)} rows; regression_labels has {count}: give each row one"
        )
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]


def _metadata(splits: Splits, counts: Mapping[str, int]) -> dict[str, Any]:
    """Columns of all rows; optional keys only where every split has them."""

    def texts(key: str) -> list[str]:
        return [text for split, rows in splits.items() for text in _texts(split, key, rows, counts[split])]

    def everywhere(key: str) -> bool:
        return all(rows.get(key) is not None for rows in splits.values())

    ids = texts("id") if everywhere("id") else [f"{split}/{row}" for split, n in counts.items() for row in range(n)]
    columns: dict[str, Any] = {"id": ids}
    if all(SEPARATOR in text for text in ids):
        columns["video"], _, columns["segment"] = (
            list(parts) for parts in zip(*(text.rpartition(SEPARATOR) for text in ids), strict=True)
        )
    columns |= {column: texts(key) for key, column in _METADATA.items() if everywhere(key)}
    if everywhere("classification_labels"):
        key = "classification_labels"
        labels = np.concatenate([_numbers(split, key, rows, counts[split]) for split, rows in splits.items()])
        whole = bool((np.isfinite(labels) & (labels == np.floor(labels))).all())
        columns["class"] = labels.astype(np.int64) if whole else labels
    # Object arrays, because NumPy would make every text as wide as the longest one.
    return {name: np.array(c, dtype=object) if isinstance(c, list) else c for name, c in columns.items()}
