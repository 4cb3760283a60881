"""Folds of a dataset: the same rows under other splits, each time with another part left out as the test.

Every fold is a dataset like any other, so training and selection hold its training and validation rows alone. Nothing is
written: the rows of a fold are a sorted copy in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import numpy as np
from pydantic import ValidationError

from deconfound.data.dataset import Dataset
from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.data.splits import DEVELOPMENT
from deconfound.datasets.fold_rows import drawn_parts, joined_groups, k_fold
from deconfound.datasets.fold_spec import FoldSpec, FoldsSpec, Kind
from deconfound.datasets.stratified import strata_of
from deconfound.errors import DataError, SpecError, did_you_mean
from deconfound.io.limits import NAME_LENGTH
from deconfound.registry import explain

LEFT_OUT, IID, KEPT = "test", "test-iid", "-kept"
"""Splits of the part that is left out and of the rows like those of train, and the ending of a kept one of that name."""
_MISSING = folded(MISSING)


@dataclass(frozen=True, eq=False)
class Folds(Sequence[Dataset]):
    """The folds of a dataset, each made when it is asked for.

    Args:
        dataset: the whole.
        spec: the declaration.
        names: of the parts that are left out, in the order of the folds.
    """

    dataset: Dataset
    spec: FoldsSpec
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Dataset: ...
    @overload
    def __getitem__(self, index: slice) -> list[Dataset]: ...
    def __getitem__(self, index: int | slice) -> Dataset | list[Dataset]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return take_fold(self.dataset, FoldSpec(**self.spec.model_dump(), left_out=self.names[index]))


def folds(
    dataset: Dataset,
    *,
    kind: Kind = "k-fold",
    group: str | Sequence[str] = (),
    folds: int | None = None,
    stratify: bool = True,
    valid: float = 0.15,
    valid_by: Literal["group", "row"] = "group",
    test_iid: float = 0.0,
    keep_tests: bool = False,
    seed: int = 0,
) -> Folds:
    """The folds of a dataset, as in `for fold in folds(data, kind="leave-one-group-out", group="speaker")`.

    Args:
        kind: "k-fold", or "leave-one-group-out" for a fold per group.
        group: columns whose groups stay whole; by default the group of the dataset.
        folds: number of a k-fold, 5 by default.
        stratify: give the classes, or the quarters of a number, equal shares in all parts.
        valid: share of the rows that are not left out for "valid", whole groups of them or, by "row", single rows.
        test_iid: share of the rows that are not left out for "test-iid", rows of the groups of train.
        keep_tests: keep the test splits of the dataset as tests of every fold, and fold only the other rows.
        seed: of all draws.

    Returns:
        a sequence of datasets with the splits "train", "valid", "test" and, where asked for, "test-iid".

    Raises:
        SpecError: a wrong argument.
        DataError: no such column, a row without a group, or fewer groups than folds.
    """
    values = {"kind": kind, "group": group, "folds": folds, "stratify": stratify, "valid": valid, "valid_by": valid_by}
    try:
        spec = FoldsSpec.model_validate(values | {"test_iid": test_iid, "keep_tests": keep_tests, "seed": seed})
    except ValidationError as error:
        raise SpecError(f"folds: {explain(error, FoldsSpec)}") from error
    return Folds(dataset, spec, tuple(fold_names(dataset, spec)))


def fold_names(dataset: Dataset, spec: FoldsSpec) -> list[str]:
    """Names of the parts that are left out, such as "speaker=anna" or "fold 1", in the order of the folds.

    Raises:
        DataError: as `folds`.
    """
    return _names(dataset, spec, _parts(dataset, spec))


def take_fold(dataset: Dataset, spec: FoldSpec) -> Dataset:
    """One fold.

    Raises:
        DataError: as `folds`; there is no such part; a group that the data declare would be torn; or too few groups are
            left for validation.
    """
    part = _parts(dataset, spec)
    names = _names(dataset, spec, part)
    if spec.left_out not in names:
        raise DataError(
            f"{dataset.name} has no fold {spec.left_out!r}{did_you_mean(spec.left_out, names)} ({len(names)} folds)"
        )
    left_out = part == spec.left_out
    _refuse_torn_group(dataset, spec, left_out)
    split = _named_splits(dataset, spec)
    split[left_out] = LEFT_OUT
    rest = np.flatnonzero(~left_out & (part != ""))
    split[rest] = _rest_splits(dataset, spec, rest)
    note = {"of": dataset.name, "checksum": dataset.checksum, "number": names.index(spec.left_out) + 1}
    resolved = spec.model_copy(update={"group": _group(dataset, spec)})
    note |= {"count": len(names), "spec": resolved.model_dump(mode="json")}
    named = replace(
        dataset,
        name=f"{dataset.name}, {spec.left_out}"[:NAME_LENGTH],
        group=_whole_groups(dataset, spec, split),
        provenance={**dataset.provenance, "fold": note},
    )
    return named.resplit(split)


def fold_of(dataset: Dataset) -> dict[str, Any] | None:
    """What the provenance says of the fold that a dataset is: of which data, its number and its `FoldSpec`; None of others."""
    return dataset.provenance.get("fold")


def _group(dataset: Dataset, spec: FoldsSpec) -> tuple[str, ...]:
    """The columns that are folded by; of a k-fold there may be none."""
    group = spec.group or dataset.group
    if not group and spec.kind == "leave-one-group-out":
        names = ", ".join(name for name in dataset.columns if name != "id") or "none but 'id'"
        raise DataError(f"{dataset.name}: 'leave-one-group-out' needs a group; name one of the columns: {names}")
    unknown = next((name for name in group if name not in dataset.columns), None)
    if unknown is not None:
        raise DataError(f"{dataset.name} has no metadata column {unknown!r}{did_you_mean(unknown, dataset.columns)}")
    return group


def _names(dataset: Dataset, spec: FoldsSpec, part: np.ndarray) -> list[str]:
    row_of = {name: row for row, name in enumerate(part.tolist()) if name}
    if spec.kind == "k-fold":
        return sorted(row_of, key=lambda name: int(name.rpartition(" ")[2]))
    codes = dataset.groups(*_group(dataset, spec))[0]
    return sorted(row_of, key=lambda name: int(codes[row_of[name]]))


def _folded(dataset: Dataset, spec: FoldsSpec) -> np.ndarray:
    """(N,) bool rows that take part."""
    part = np.zeros(len(dataset), dtype=bool)
    for name, rows in dataset.splits.items():
        part[rows.start : rows.stop] = not spec.keep_tests or name in DEVELOPMENT
    return part


def _parts(dataset: Dataset, spec: FoldsSpec) -> np.ndarray:
    """(N,) name of the part that each row is in, "" for rows that take no part."""
    group, rows = _group(dataset, spec), np.flatnonzero(_folded(dataset, spec))
    for name in group:
        _refuse_gaps(dataset, name, rows)
    part = np.full(len(dataset), "", dtype=object)
    if spec.kind == "leave-one-group-out":
        codes, names = dataset.groups(*group)
        part[rows] = np.array(names, dtype=object)[codes.numpy()[rows]]
        count = len(set(part[rows].tolist()))
        if count < 2:
            raise DataError(
                f"{dataset.name}: {count} group of {', '.join(group)} cannot be left out and trained on; "
                "name another column"
            )
        return part
    units = _units(dataset, (*group, *dataset.group))[rows]
    count = len(np.unique(units))
    if count < spec.count:
        what = f"groups of {', '.join(group)}" if group else "rows"
        raise DataError(
            f"{dataset.name}: {count} {what} cannot fill {spec.count} folds; lower 'folds', or group by another column"
        )
    part[rows] = k_fold(units, _strata(dataset, spec, rows), spec.count, spec.seed)
    return part


def _refuse_gaps(dataset: Dataset, column: str, rows: np.ndarray) -> None:
    values = dataset.columns[column].values[rows]
    gaps = [row for row, value in zip(rows.tolist(), values.tolist(), strict=True) if _is_gap(value)]
    if gaps:
        raise DataError(
            f"{dataset.name}: {len(gaps)} rows have no {column!r} (the first is {dataset.columns['id'].values[gaps[0]]!r}); "
            "folds by groups need the group of every row: fill it in, or leave these rows out"
        )


def _is_gap(value: object) -> bool:
    return is_missing(value, _MISSING) if isinstance(value, str) else value != value


def _units(dataset: Dataset, columns: Sequence[str]) -> np.ndarray:
    """(N,) number of the rows that stay together."""
    return joined_groups([dataset.columns[name].codes.numpy() for name in dict.fromkeys(columns)], len(dataset))


def _strata(dataset: Dataset, spec: FoldsSpec, rows: np.ndarray) -> list[str] | None:
    if not spec.stratify:
        return None
    target = dataset.target.numpy()[rows]
    if dataset.task.kind == "regression":
        return strata_of(target.astype(np.float64))
    return [str(code) for code in target.tolist()]


def _named_splits(dataset: Dataset, spec: FoldsSpec) -> np.ndarray:
    """(N,) splits of the rows that take no part, under names that the fold does not need."""
    split = np.full(len(dataset), "", dtype=object)
    for name, rows in dataset.splits.items():
        if spec.keep_tests and name not in DEVELOPMENT:
            split[rows.start : rows.stop] = name + KEPT if name in (LEFT_OUT, IID) else name
    return split


def _rest_splits(dataset: Dataset, spec: FoldSpec, rest: np.ndarray) -> np.ndarray:
    """(R,) "train", "valid" or "test-iid" of the rows that are not left out."""
    group = _group(dataset, spec)
    together = [name for name in dataset.group if name not in group]  # whatever the folds are by, these stay whole
    by_row = _units(dataset, together)[rest]
    by_group = _units(dataset, (*group, *dataset.group))[rest]
    units = by_group if spec.valid_by == "group" else by_row
    strata = _strata(dataset, spec, rest)
    if len(np.unique(units)) < 2:
        remedy = "; valid_by = 'row' validates on rows of it" if spec.valid_by == "group" else ""
        raise DataError(
            f"{dataset.name}, fold {spec.left_out!r}: one group is left, which cannot be both train and valid{remedy}"
        )
    split = np.array(
        drawn_parts(units, strata, {"train": 1 - spec.valid, "valid": spec.valid}, spec.seed), dtype=object
    )
    if spec.test_iid:
        train = np.flatnonzero(split == "train")
        share = spec.test_iid / (1 - spec.valid)
        kept = None if strata is None else [strata[row] for row in train.tolist()]
        split[train] = drawn_parts(by_row[train], kept, {"train": 1 - share, IID: share}, spec.seed)
    return split


def _refuse_torn_group(dataset: Dataset, spec: FoldSpec, left_out: np.ndarray) -> None:
    """Refuse to leave a part of a declared group out: its other rows would train."""
    rest = _folded(dataset, spec) & ~left_out
    for name in dataset.group:
        codes = dataset.columns[name].codes.numpy()
        torn = np.intersect1d(codes[left_out], codes[rest])
        if len(torn):
            value = str(dataset.columns[name].distinct[torn[0]])
            raise DataError(
                f"{dataset.name}, fold {spec.left_out!r}: {name} {value!r} has rows in it and outside, and the data declare "
                f"that no {name} is in two splits; fold by whole groups of {name}"
            )


def _whole_groups(dataset: Dataset, spec: FoldsSpec, split: np.ndarray) -> tuple[str, ...]:
    """Columns whose values the fold keeps apart: those of the data, and those it is folded by unless rows are shared."""
    folded_by = _group(dataset, spec)
    return tuple(
        name
        for name in dict.fromkeys((*dataset.group, *folded_by))
        if name not in folded_by or _is_whole(dataset.columns[name].codes.numpy(), split)
    )


def _is_whole(codes: np.ndarray, split: np.ndarray) -> bool:
    """True if no value of train or valid occurs in another split."""
    values = {name: set(codes[split == name].tolist()) for name in set(split.tolist())}
    return all(not values[a] & values[b] for a in DEVELOPMENT if a in values for b in values if a != b)
