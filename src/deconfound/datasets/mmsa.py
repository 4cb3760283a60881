"""The pickle that the field's sentiment tools exchange (CMU-MOSI, CMU-MOSEI, CH-SIMS), aligned or not.

Layout: `{"train", "valid", "test"}`, each a dict of N rows:

| key | form | what becomes of it |
|---|---|---|
| `text`, `audio`, `vision` | (N, T, D) or (N, D) numbers; T may differ between modalities | the signals, float32 |
| `text_lengths`, ... | N integers in [0, T], or absent | the mask |
| `regression_labels` | N numbers | the target |
| `classification_labels` | N numbers, or absent | metadata `class` |
| `id` | N texts, or absent | `id`; absent: `train/0`, `train/1`, ... |
| `raw_text`, `annotations` | N texts, or absent | metadata `raw_text`, `annotation` |

`valid` and any modality may be absent, from all splits alike; `train` may not. All other keys are named in the
provenance as ignored.

Rules, also written into the provenance:

- An id `video$_$segment` becomes metadata `video` and `segment` (split at the last `$_$`), and the videos are the
  environments. Where some id has no `$_$`, there is neither.
- With lengths, the first `length` steps of a row exist. Where more rows have values outside their first steps than
  outside their last ones, the padding is in front and the last `length` steps exist. Values outside are dropped and
  counted.
- Without lengths, steps of zeros before the first and after the last other step are padding. A row of zeros is absent.
- A step with a NaN or an infinite value is masked and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.steps import copy_steps, inside_by_content, inside_by_lengths, sha256
from deconfound.datasets.unpickle import Unpickled, read_pickle
from deconfound.errors import DataError, did_you_mean

MODALITIES = ("text", "audio", "vision")
SPLITS = ("train", "valid", "test")
SEPARATOR = "$_$"
_METADATA = {"raw_text": "raw_text", "annotations": "annotation"}
_USED = {*MODALITIES, *(f"{m}_lengths" for m in MODALITIES), *_METADATA}
_USED |= {"id", "regression_labels", "classification_labels"}

Splits = Mapping[str, Mapping[str, object]]


def read_mmsa(path: str | Path, *, name: str | None = None) -> Dataset:
    """Read such a pickle; nothing in it is run.

    Args:
        name: of the dataset; by default the file's name without its ending.

    Raises:
        DataError: not this layout, or rows that `Dataset.build` refuses.
    """
    path = Path(path)
    pickled = read_pickle(path)
    try:
        plan = _plan(pickled)
        del pickled  # arrays of protocols 0 to 2 live in memory until the plan lets go of them
        return _dataset(path, name or path.stem, plan)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


@dataclass(eq=False)
class _Plan:
    """What a dataset is made of, checked but not yet copied.

    Args:
        arrays: modality → one (n, T, D) array per split; emptied while they are copied.
        lengths: modality → (N,) steps of each row, or None.
        target: (N,) float32.
        metadata: columns of N values.
        split: (N,) split names.
        ignored: keys of the file that nothing was made of, at most 20.
        size: of the file in bytes.
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


def _plan(pickled: Unpickled) -> _Plan:
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
    return _Plan(
        arrays,
        {m: _lengths(splits, m, arrays[m], metadata["id"]) for m in arrays},
        np.concatenate(list(targets.values())).astype(np.float32),
        metadata,
        np.repeat(list(counts), list(counts.values())),
        sorted({key[:40] for rows in splits.values() for key in rows if key not in _USED})[:20],
        pickled.size,
        pickled.release,
    )


def _dataset(path: Path, name: str, plan: _Plan) -> Dataset:
    signals: dict[str, Signal] = {}
    masks: dict[str, dict[str, Any]] = {}
    for modality in list(plan.arrays):
        signals[modality], masks[modality] = _signal(plan.arrays.pop(modality), plan.lengths[modality], plan.release)
    with_video = "video" in plan.metadata
    return Dataset.build(
        name,
        Task.regression(loss="l1", protocol="mmsa-regression"),
        signals,
        torch.from_numpy(plan.target),
        plan.metadata,
        plan.split,
        environment=("video",) if with_video else (),
        group=("video",) if with_video and _apart(plan.metadata["video"], plan.split) else (),
        provenance={
            "format": "mmsa",
            "file": path.name,
            "bytes": plan.size,
            "sha256": sha256(path),
            "id": f"video{SEPARATOR}segment" if with_video else "as it is",
            "masks": masks,
            "ignored": plan.ignored,
        },
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
    having = {m: [split for split, rows in splits.items() if rows.get(m) is not None] for m in MODALITIES}
    for modality, where in having.items():
        if where and len(where) < len(splits):
            lacking = next(split for split in splits if split not in where)
            raise DataError(f"{modality!r} is in {where[0]!r} but not in {lacking!r}; give it to all splits or to none")
    found = [modality for modality, where in having.items() if where]
    if not found:
        raise DataError(f"no split has any of {', '.join(MODALITIES)}")
    return found


def _array(split: str, modality: str, rows: Mapping[str, object], count: int) -> np.ndarray:
    """(N, T, D) of any number type; a (N, D) array is one step."""
    array = rows[modality]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        form = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise DataError(f"{modality!r} of {split!r} is {form}; expected an array of numbers, (N, T, D) or (N, D)")
    if len(array) != count or 0 in array.shape:
        raise DataError(f"{modality!r} of {split!r} has the shape {array.shape}; regression_labels has {count} rows")
    return array[:, None] if array.ndim == 2 else array


def _lengths(splits: Splits, modality: str, arrays: list[np.ndarray], ids: list[str]) -> np.ndarray | None:
    """(N,) steps of each row, or None where the file gives none; checks that all splits agree in their form."""
    forms = {array.shape[1:] for array in arrays}
    if len(forms) > 1:
        raise DataError(f"{modality!r} has other steps and features in other splits: {sorted(forms)}; pad them alike")
    key = f"{modality}_lengths"
    having = [split for split, rows in splits.items() if rows.get(key) is not None]
    if not having:
        return None
    if len(having) < len(splits):
        raise DataError(f"{key!r} is in {having[0]!r} but not in all splits; give it to all or to none")
    zipped = zip(splits.items(), arrays, strict=True)
    lengths = np.concatenate([_numbers(split, key, rows, len(array)) for (split, rows), array in zipped])
    steps = arrays[0].shape[1]
    wrong = np.flatnonzero(~((lengths >= 0) & (lengths <= steps) & (lengths == np.floor(lengths))))
    if len(wrong):
        raise DataError(f"{key!r} of {ids[wrong[0]]!r} is {lengths[wrong[0]]:g}; the array has {steps} steps")
    return lengths.astype(np.int64)


def _signal(
    arrays: list[np.ndarray], lengths: np.ndarray | None, release: Callable[[], None]
) -> tuple[Signal, dict[str, Any]]:
    copied = copy_steps(arrays, release)
    notes: dict[str, Any] = {"steps_from": "values" if lengths is None else "lengths"}
    if lengths is None:
        inside = inside_by_content(copied.content)
    else:
        inside = inside_by_lengths(copied.content, lengths)
        notes["dropped_steps"] = int((copied.content & ~inside).sum())
        notes["zero_rows"] = int((inside.any(axis=1) & ~copied.content.any(axis=1)).sum())
    some = inside.any(axis=1)
    notes |= {"padded_in_front": int((some & ~inside[:, 0]).sum()), "padded_at_end": int((some & ~inside[:, -1]).sum())}
    signal, counts = copied.signal(inside)
    return signal, {**notes, **counts, "absent_rows": int((~signal.present).sum())}


def _numbers(split: str, key: str, rows: Mapping[str, object], count: int | None = None) -> np.ndarray:
    """(N,) float64 from a list of numbers or an array of shape (N,) or (N, 1)."""
    values = rows.get(key)
    if isinstance(values, list) and all(type(value) in (int, float, bool) for value in values):
        values = np.array(values, dtype=np.float64)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        given = "missing" if values is None else f"a {type(values).__name__} of something else"
        raise DataError(f"{key!r} of {split!r} is {given}; expected one number for each row")
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
        raise DataError(f"{key!r} of {split!r} is no list of texts")
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
    # Objects, since NumPy would make each text of a list as wide as the longest one.
    return {name: np.array(c, dtype=object) if isinstance(c, list) else c for name, c in columns.items()}


def _apart(videos: Iterable[object], splits: Iterable[str]) -> bool:
    """True if no video has rows in two splits; `describe` warns of those that have."""
    home: dict[object, str] = {}
    return all(home.setdefault(video, split) == split for video, split in zip(videos, splits, strict=True))
