"""The pickle that sentiment-analysis tools exchange (CMU-MOSI, CMU-MOSEI, CH-SIMS), aligned or not.

Layout: `{"train", "valid", "test"}`, each a dict of N rows; "dev" and "val" are other names of "valid", and all names that
begin with "test" are test splits:

| key | shape | becomes |
|---|---|---|
| `text`, `audio`, `vision` | (N, T, D) or (N, D) numbers; T may differ between modalities | the signals, float32 |
| `text_bert` | (N, 3, L) word pieces, mask and segments, or absent | with `text=text_bert`: the text, int64 |
| `text_lengths`, ... | N integers in [0, T], or absent | the mask |
| `regression_labels` | N numbers | the target |
| `classification_labels` | N numbers, or absent | metadata `class` |
| `id` | N texts, or absent | `id`; absent: `train/0`, `train/1`, ... |
| `raw_text`, `annotations` | N texts, or absent | metadata `raw_text`, `annotation` |

`valid` and any modality may be absent, from all splits alike; `train` may not. The provenance
lists all other keys as ignored.

Rules, also written into the provenance:

- The metric protocol is "mmsa-regression", or "sims" if all labels are in [-1, 1] and every split has the labels of
  single modalities that CH-SIMS has (`regression_labels_T`, ...). `--protocol` at import names another.

- An id `video$_$segment` becomes metadata `video` and `segment` (split at the last `$_$`), and the videos are the
  environments. If any id has no `$_$`, there are no such columns and no environments.
- With lengths, the first `length` steps of a row exist. If more rows have values outside their first steps than
  outside their last ones, the padding is in front and the last `length` steps exist. Values outside are dropped and
  counted.
- Without lengths, steps of zeros before the first and after the last other step are padding. A row of zeros is absent.
- A NaN or an infinite value is set to the training mean of its feature, a step of which more than half is not finite is
  masked, and a feature that is not finite in more than nine of ten training steps is left out; all are counted
  (`deconfound.datasets.repair`). The option `invalid` masks the whole "frame" or "row" instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.mmsa_content import SEPARATOR, MmsaContent, check_content
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.repair import Fitting, Invalid
from deconfound.datasets.steps import copy_steps, mask_from_content, mask_from_lengths, sha256
from deconfound.datasets.unpickle import Unpickled, read_pickle
from deconfound.errors import DataError

InvalidChoice = Annotated[
    Invalid, Field(description="what a NaN or infinite value takes with it: its feature, frame or row")
]
IndicatorChoice = Annotated[bool, Field(description="add a column per imputed feature, 1 where it was not finite")]
TextKey = Annotated[
    Literal["text", "text_bert"],
    Field(description="the key of the text: vectors, or word pieces for an encoder that is trained"),
]
UnlabelledChoice = Annotated[Literal["refuse", "drop"], Field(description="what to do with a row whose label is NaN")]
"""Arguments that all readers of this layout share."""


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
            "some features are NaN or infinite: the reader imputes, masks or leaves them out, and counts them",
            "some rows of text have a length and only zeros (4 in unaligned_30.pkl of CMU-MOSI): the reader keeps and "
            "counts them",
        ),
    )

    def __init__(
        self,
        *,
        invalid: InvalidChoice = "feature",
        indicator: IndicatorChoice = False,
        text: TextKey = "text",
        unlabelled: UnlabelledChoice = "refuse",
    ) -> None:
        self.invalid: Invalid = invalid
        self.indicator = indicator
        self.text: Literal["text", "text_bert"] = text
        self.unlabelled: Literal["refuse", "drop"] = unlabelled

    def read(self, path: Path) -> Dataset:
        return read_mmsa(
            path, invalid=self.invalid, indicator=self.indicator, text=self.text, unlabelled=self.unlabelled
        )


def read_mmsa(
    path: str | Path,
    *,
    name: str | None = None,
    invalid: Invalid = "feature",
    indicator: bool = False,
    text: Literal["text", "text_bert"] = "text",
    unlabelled: Literal["refuse", "drop"] = "refuse",
) -> Dataset:
    """Read such a pickle; nothing in it is executed.

    Args:
        path: the pickle.
        name: dataset name; by default the file's name without its extension.
        invalid, indicator: as in `deconfound.datasets.repair.Fitting`.
        text: the key of the modality text: (N, T, D) vectors, or the word pieces "text_bert".
        unlabelled: whether rows whose label is NaN are refused or left out.

    Raises:
        DataError: a missing file, another layout, or rows that `Dataset.build` refuses.
    """
    path = Path(path)
    options = (invalid, indicator, text, unlabelled)
    return mmsa_dataset("mmsa", path, name or path.stem, read_pickle(path), *options)


def mmsa_dataset(
    format_name: str,
    path: Path,
    name: str,
    pickled: Unpickled,
    invalid: Invalid,
    indicator: bool,
    text: Literal["text", "text_bert"],
    unlabelled: Literal["refuse", "drop"],
) -> Dataset:
    """The dataset of a content that was read; the other arguments are those of `read_mmsa`.

    Raises:
        DataError: another layout, or rows that `Dataset.build` refuses.
    """
    try:
        content = check_content(pickled, text)
        del pickled  # arrays of protocols 0 to 2 live in memory until `content` releases them
        labelled = _labelled(content, unlabelled)
        return _dataset(format_name, path, name, content, labelled, invalid, indicator)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _labelled(content: MmsaContent, unlabelled: Literal["refuse", "drop"]) -> np.ndarray:
    """(N,) bool: the rows that have a label."""
    missing = np.isnan(content.target)
    if unlabelled == "refuse" and missing.any():
        raise DataError(
            f"regression_labels of {content.metadata['id'][missing.argmax()]!r} is nan ({int(missing.sum())} of "
            f"{len(missing)} rows have no label); leave such rows out with --option unlabelled=drop, and give them to "
            "'deconfound predict'"
        )
    return ~missing


def _dataset(
    format_name: str,
    path: Path,
    name: str,
    content: MmsaContent,
    labelled: np.ndarray,
    invalid: Invalid,
    indicator: bool,
) -> Dataset:
    signals: dict[str, Signal] = {}
    masks: dict[str, dict[str, Any]] = {}
    fitting = Fitting(labelled & (content.split == "train"), invalid, indicator)
    kept = None if labelled.all() else torch.from_numpy(np.flatnonzero(labelled))
    if content.tokens is not None:
        there = content.tokens[labelled, 1] > 0
        pieces = np.where(there, content.tokens[labelled, 0], 0)
        signals["text"] = Signal(torch.from_numpy(pieces), torch.from_numpy(there))
        masks["text"] = {"steps_from": "text_bert", "absent_rows": int((~there.any(axis=1)).sum())}
    for modality in list(content.arrays):
        signal, masks[modality] = _signal(
            content.arrays.pop(modality), content.lengths[modality], content.release, fitting
        )
        signals[modality] = signal if kept is None else signal.select(kept)
    with_video = "video" in content.metadata
    return Dataset.build(
        name,
        Task.regression(loss="l1", protocol=_protocol(content)),
        signals,
        torch.from_numpy(content.target[labelled]),
        {column: np.asarray(values)[labelled] for column, values in content.metadata.items()},
        content.split[labelled],
        environment=("video",) if with_video else (),
        group=("video",) if with_video and _splits_share_no_video(content.metadata["video"], content.split) else (),
        provenance={
            "format": format_name,
            "file": path.name,
            "bytes": content.size,
            "target": "regression_labels",
            "sha256": sha256(path),
            "id": f"video{SEPARATOR}segment" if with_video else "as it is",
            "masks": masks,
            "ignored": content.ignored,
            "unlabelled_rows_dropped": int((~labelled).sum()),
        },
    )


def _protocol(content: MmsaContent) -> str:
    """That of CH-SIMS for its keys, labels of single modalities, with labels in [-1, 1]; else that of CMU-MOSI."""
    single = all(f"regression_labels_{letter}" in content.ignored for letter in "TAV")
    return "sims" if single and float(np.nanmax(np.abs(content.target))) <= 1 else "mmsa-regression"


def _signal(
    arrays: list[np.ndarray], lengths: np.ndarray | None, release: Callable[[], None], fitting: Fitting
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
    signal, counts = copied.repaired(inside, fitting)
    return signal, {**notes, **counts, "absent_rows": int((~signal.present).sum())}


def _splits_share_no_video(videos: Iterable[object], splits: Iterable[str]) -> bool:
    """True if no video has rows in two splits; otherwise `describe` warns."""
    first_split: dict[object, str] = {}
    return all(first_split.setdefault(video, split) == split for video, split in zip(videos, splits, strict=True))
