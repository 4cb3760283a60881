"""A share of the training rows as validation rows, for data that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.datasets.fold_rows import drawn_parts, joined_groups
from deconfound.datasets.stratified import strata_of
from deconfound.errors import DataError, did_you_mean


def take_validation(
    dataset: Dataset,
    share: float,
    *,
    group: str | Sequence[str] = (),
    stratify: bool = True,
    seed: int = 0,
) -> Dataset:
    """The same rows with a share of "train" as "valid"; no row of another split moves.

    Args:
        share: of the rows of train, in (0, 1).
        group: columns whose groups stay whole, beside those that the data declare.
        stratify: give the classes, or the quarters of a number, equal shares in both.
        seed: of the draw.

    Returns:
        a sorted copy, whose provenance says under "validation_taken" what was done.

    Raises:
        DataError: there is a "valid" already or no "train", an unknown column, another share, or a single group.
    """
    columns = tuple(dict.fromkeys((*((group,) if isinstance(group, str) else group), *dataset.group)))
    unknown = next((name for name in columns if name not in dataset.columns), None)
    if unknown is not None:
        raise DataError(f"{dataset.name} has no metadata column {unknown!r}{did_you_mean(unknown, dataset.columns)}")
    split = np.full(len(dataset), "", dtype=object)
    for name, rows in dataset.splits.items():
        split[rows.start : rows.stop] = name
    target = dataset.target.numpy()
    strata = strata_of(target.astype(np.float64) if dataset.task.kind == "regression" else list(map(str, target)))
    units = joined_groups([dataset.columns[name].codes.numpy() for name in columns], len(dataset))
    taken = validation_rows(split.tolist(), units, strata if stratify else None, share, seed)
    note = validation_note(taken, share, columns, stratify=stratify, seed=seed)
    noted = replace(dataset, provenance={**dataset.provenance, "validation_taken": note})
    return noted.resplit(taken)


def validation_rows(
    split: Sequence[str], units: np.ndarray, strata: Sequence[str] | None, share: float, seed: int
) -> list[str]:
    """(N) names of splits, with a share of the rows of "train" as "valid".

    Args:
        split: (N) names of splits.
        units: (N,) rows of one number stay together.
        strata: (N) classes that both get their share of; None for any rows.

    Raises:
        DataError: there is a "valid" already or no "train", another share, or a single unit.
    """
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise DataError(f"valid = {share!r:.40}: give a share of the rows of train between 0 and 1, such as 0.15")
    if "valid" in split:
        count = sum(name == "valid" for name in split)
        raise DataError(f"there is a split 'valid' already, of {count} rows; leave out valid = {share:g}")
    train = [row for row, name in enumerate(split) if name == "train"]
    if not train:
        raise DataError("the split 'train' is empty, so no share of it can be 'valid'; name it in the column of splits")
    kept = None if strata is None else [strata[row] for row in train]
    drawn = drawn_parts(units[train], kept, {"train": 1 - share, "valid": share}, seed)
    taken = list(split)
    for row, name in zip(train, drawn, strict=True):
        taken[row] = name
    return taken


def validation_note(
    taken: Sequence[str], share: float, group: Sequence[str], *, stratify: bool, seed: int
) -> dict[str, Any]:
    """What the provenance says of validation rows that `validation_rows` took."""
    rows = sum(name == "valid" for name in taken)
    before = rows + sum(name == "train" for name in taken)
    return {"share": share, "rows": rows, "of": before, "group": [*group], "stratify": stratify, "seed": seed}


def validation_text(note: dict[str, Any]) -> str:
    """The note as a line."""
    whole = f"whole groups of {', '.join(note['group'])}" if note["group"] else "single rows"
    classes = ", labels in about equal shares" if note["stratify"] else ""
    return f"took {note['rows']} of {note['of']} rows of train as 'valid' ({whole}{classes}, seed {note['seed']})"
