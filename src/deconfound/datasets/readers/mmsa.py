"""The pickle that sentiment-analysis tools exchange (CMU-MOSI, CMU-MOSEI, CH-SIMS), aligned or not.

Layout: `{"train", "valid", "test"}`, each a dict of N rows:

| key | shape | becomes |
|---|---|---|
| `text`, `audio`, `vision` | (N, T, D) or (N, D) numbers; T may differ between modalities | the signals, float32 |
| `text_lengths`, ... | N integers in [0, T], or absent | the mask |
| `regression_labels` | N numbers | the target |
| `classification_labels` | N numbers, or absent | metadata `class` |
| `id` | N texts, or absent | `id`; absent: `train/0`, `train/1`, ... |
| `raw_text`, `annotations` | N texts, or absent | metadata `raw_text`, `annotation` |

`valid` and any modality may be absent, from all splits alike; `train` may not. The provenance
lists all other keys as ignored.

Rules, also written into the provenance:

- An id `video$_$segment` becomes metadata `video` and `segment` (split at the last `$_$`), and the videos are the
  environments. If any id has no `$_$`, there are no such columns and no environments.
- With lengths, the first `length` steps of a row exist. If more rows have values outside their first steps than
  outside their last ones, the padding is in front and the last `length` steps exist. Values outside are dropped and
  counted.
- Without lengths, steps of zeros before the first and after the last other step are padding. A row of zeros is absent.
- A step with a NaN or an infinite value is masked and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.mmsa_content import SEPARATOR, MmsaContent, check_content
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.steps import copy_steps, mask_from_content, mask_from_lengths, sha256
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DataError


class MmsaReader(Reader):
    """Read the pickle with train, valid and test that sentiment tools exchange; nothing in it is executed."""

    card = ReaderCard(
        source="CMU-MOSI, CMU-MOSEI and CH-SIMS as exported by the MMSA tool (github.com/thuiar/MMSA)",
        licence="the terms of the corpus; the pickle states none",
        access="the download links in the MMSA repository",
        layout='one pickle: {"train", "valid", "test"}, each a dict with arrays text, audio and vision, their lengths, '
        "regression_labels and id; 'python -m pydoc deconfound.datasets.readers.mmsa' lists all keys",
        known_defects=(
            "some exports pad in front and some at the end: the reader infers which",
            "some features are NaN or infinite: the reader masks and counts those steps",
            "some rows of text have a length and only zeros (4 in unaligned_30.pkl of CMU-MOSI): the reader keeps and "
            "counts them",
        ),
    )

    def read(self, path: Path) -> Dataset:
        return read_mmsa(path)


def read_mmsa(path: str | Path, *, name: str | None = None) -> Dataset:
    """Read such a pickle; nothing in it is executed.

    Args:
        path: the pickle.
        name: dataset name; by default the file's name without its extension.

    Raises:
        DataError: a missing file, another layout, or rows that `Dataset.build` refuses.
    """
    path = Path(path)
    pickled = read_pickle(path)
    try:
        content = check_content(pickled)
        del pickled  # arrays of protocols 0 to 2 live in memory until `content` releases them
        return _dataset(path, name or path.stem, content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _dataset(path: Path, name: str, content: MmsaContent) -> Dataset:
    signals: dict[str, Signal] = {}
    masks: dict[str, dict[str, Any]] = {}
    for modality in list(content.arrays):
        signals[modality], masks[modality] = _signal(
            content.arrays.pop(modality), content.lengths[modality], content.release
        )
    with_video = "video" in content.metadata
    return Dataset.build(
        name,
        Task.regression(loss="l1", protocol="mmsa-regression"),
        signals,
        torch.from_numpy(content.target),
        content.metadata,
        content.split,
        environment=("video",) if with_video else (),
        group=("video",) if with_video and _splits_share_no_video(content.metadata["video"], content.split) else (),
        provenance={
            "format": "mmsa",
            "file": path.name,
            "bytes": content.size,
            "sha256": sha256(path),
            "id": f"video{SEPARATOR}segment" if with_video else "as it is",
            "masks": masks,
            "ignored": content.ignored,
        },
    )


def _signal(
    arrays: list[np.ndarray], lengths: np.ndarray | None, release: Callable[[], None]
) -> tuple[Signal, dict[str, Any]]:
    copied = copy_steps(arrays, release)
    notes: dict[str, Any] = {"steps_from": "values" if lengths is None else "lengths"}
    if lengths is None:
        inside = mask_from_content(copied.content)
    else:
        inside = mask_from_lengths(copied.content, lengths)
        notes["dropped_steps"] = int((copied.content & ~inside).sum())
        notes["zero_rows"] = int((inside.any(axis=1) & ~copied.content.any(axis=1)).sum())
    present = inside.any(axis=1)
    notes |= {
        "padded_in_front": int((present & ~inside[:, 0]).sum()),
        "padded_at_end": int((present & ~inside[:, -1]).sum()),
    }
    signal, counts = copied.signal(inside)
    return signal, {**notes, **counts, "absent_rows": int((~signal.present).sum())}


def _splits_share_no_video(videos: Iterable[object], splits: Iterable[str]) -> bool:
    """True if no video has rows in two splits; otherwise `describe` warns."""
    first_split: dict[object, str] = {}
    return all(first_split.setdefault(video, split) == split for video, split in zip(videos, splits, strict=True))
