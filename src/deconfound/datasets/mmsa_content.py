"""The content of the pickle that sentiment tools exchange, checked before anything is copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconfound.datasets.unpickle import Unpickled
from deconfound.errors import DataError, did_you_mean

MODALITIES = ("text", "audio", "vision")
SPLITS = ("train", "valid", "test")
SEPARATOR = "$_$"
_METADATA = {"raw_text": "raw_text", "annotations": "annotation"}
_USED = {*MODALITIES, *(f"{m}_lengths" for m in MODALITIES), *_METADATA}
_USED |= {"id", "regression_labels", "classification_labels"}

Splits = Mapping[str, Mapping[str, object]]


@dataclass(eq=False)
class MmsaContent:
    """The checked parts of a dataset, not yet copied.

    Args:
        arrays: modality → one (n, T, D) array per split; emptied while they are copied.
        lengths: modality → (N,) steps of each row, or None.
        target: (N,) float32.
        metadata: columns of N values.
        split: (N,) split names.
        ignored: unused keys of the file, at most 20.
        size: bytes of the file.
        release: as in `Unpickled`.
    """

    arrays: dict[str, list[np.ndarray]]
    lengths: dict[str, np.ndarray | None]
    target: np.ndarray
    metadata: dict[str, Any]
    split: np.ndarray
    ignored: list[str]
    size: int
    release: Callable[[], None]


def check_content(pickled: Unpickled) -> MmsaContent:
    """Check the layout and collect the columns of all splits; arrays stay where they are.

    Raises:
        DataError: another layout, or parts that disagree in rows, steps or features.
    """
    splits = _splits(pickled.content)
    targets = {split: _numbers(split, "regression_labels", rows) for split, rows in splits.items()}
    counts = {split: len(target) for split, target in targets.items()}
    for split, rows in counts.items():
        if rows == 0:
            raise DataError(f"the split {split!r} is empty; give it rows or leave it out")
    arrays = {m: [_array(split, m, splits[split], n) for split, n in counts.items()] for m in _modalities(splits)}
    if sum(array.nbytes for sources in arrays.values() for array in sources) > pickled.size:
        raise DataError("modalities of several splits are the same array; each needs its own")
    metadata = _metadata(splits, counts)
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, which `check_rows` refuses
        target = np.concatenate(list(targets.values())).astype(np.float32)
    return MmsaContent(
        arrays,
        {m: _lengths(splits, m, arrays[m], metadata["id"]) for m in arrays},
        target,
        metadata,
        np.repeat(list(counts), list(counts.values())),
        sorted({key[:40] for rows in splits.values() for key in rows if key not in _USED})[:20],
        pickled.size,
        pickled.release,
    )


def _splits(content: object) -> Splits:
    if not isinstance(content, dict) or "train" not in content:
        keys = [key[:40] for key in content][:5] if isinstance(content, dict) else None
        held = f"a {type(content).__name__}" if keys is None else f"a dict with {keys}"
        raise DataError(f"the pickle holds {held}; expected a dict with {', '.join(SPLITS)}")
    for split, rows in content.items():
        if split not in SPLITS:
            raise DataError(f"there is a split {split[:40]!r}{did_you_mean(split, SPLITS)}")
        if not isinstance(rows, dict):
            raise DataError(f"the split {split!r} is a {type(rows).__name__}; expected a dict of arrays and lists")
    return {split: content[split] for split in SPLITS if split in content}


def _modalities(splits: Splits) -> list[str]:
    splits_with = {m: [split for split, rows in splits.items() if rows.get(m) is not None] for m in MODALITIES}
    for modality, where in splits_with.items():
        if where and len(where) < len(splits):
            without = next(split for split in splits if split not in where)
            raise DataError(f"{modality!r} is in {where[0]!r} but not in {without!r}; give it to all splits or to none")
    modalities = [modality for modality, where in splits_with.items() if where]
    if not modalities:
        raise DataError(f"no split has any of {', '.join(MODALITIES)}")
    return modalities


def _array(split: str, modality: str, rows: Mapping[str, object], count: int) -> np.ndarray:
    """(N, T, D) of any number type; a (N, D) array is one step."""
    array = rows[modality]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        actual = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise DataError(f"{modality!r} of {split!r} is {actual}; expected an array of numbers, (N, T, D) or (N, D)")
    if len(array) != count or 0 in array.shape:
        raise DataError(f"{modality!r} of {split!r} has the shape {array.shape}; regression_labels has {count} rows")
    return array[:, None] if array.ndim == 2 else array


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
        raise DataError(f"{key!r} of {ids[wrong[0]]!r} is {lengths[wrong[0]]:g}; the array has {steps} steps")
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
        raise DataError(f"{key!r} of {split!r} has the shape {values.shape}; expected one number for each row")
    if count is not None and len(values) != count:
        raise DataError(f"{key!r} of {split!r} has {len(values)} rows; regression_labels has {count}")
    return values.reshape(-1).astype(np.float64)


def _texts(split: str, key: str, rows: Mapping[str, object], count: int) -> list[str]:
    values = rows[key]
    if isinstance(values, np.ndarray) and values.dtype.kind in "USiu" and values.size == len(values):
        values = values.reshape(-1).tolist()
    if not isinstance(values, list) or any(type(value) not in (str, bytes, int, float) for value in values):
        raise DataError(f"{key!r} of {split!r} is not a list of texts")
    if len(values) != count:
        raise DataError(f"{key!r} of {split!r} has {len(values)} rows; regression_labels has {count}")
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
