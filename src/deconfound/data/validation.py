"""Checks of every row of a dataset, for `Dataset.build` and `deconfound data check`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from deconfound.data.mapped import CHUNK, release
from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.data.one_label import ONE_LABEL
from deconfound.data.schema import DatasetParts
from deconfound.data.signal import Signal
from deconfound.data.splits import DEVELOPMENT
from deconfound.errors import DataError
from deconfound.io.limits import NAME_RULE, is_name


def check_rows(dataset: DatasetParts) -> None:
    """Read every value once.

    Raises:
        DataError: a name that is too long or not UTF-8, an empty or missing train split, a repeated id, a target of
            another shape than (N,), NaN or infinite, a class number out of range, a value that is not finite where the mask
            is True or not 0 where it is False, a negative token, a modality absent in all rows, a group with rows in two
            splits, or a column with one text under two codes.
    """
    name, target = dataset.name, dataset.target
    empty = [split for split, rows in dataset.splits.items() if len(rows) == 0]
    if empty or len(dataset.target) == 0:
        raise DataError(f"{name}: the split {(empty or ['train'])[0]!r} is empty; give it rows or leave it out")
    labels = dataset.task.kind == "multilabel"
    if target.ndim != 1 and not labels:
        raise DataError(f"{name}: the target has the shape {tuple(target.shape)}; expected (N,); {ONE_LABEL}")
    _check_names(dataset)
    for column, values in dataset.columns.items():
        if "codes" in values.parts and len(set(values.distinct.tolist())) < len(values.distinct):
            raise DataError(f"{name}: the column {column!r} holds one text under two codes; import the data again")
    ids = dataset.columns["id"]
    counts = torch.bincount(ids.codes)
    if int(counts.max()) > 1:
        repeated = int(counts.argmax())
        rows = torch.nonzero(ids.codes == repeated).flatten().tolist()
        where = sorted({split for split, numbers in dataset.splits.items() for row in rows if row in numbers})
        raise DataError(
            f"{name}: id {ids.distinct[repeated]!r} occurs {len(rows)} times (in {', '.join(where)}); "
            "ids must be unique: number repeated ones, or keep one of them"
        )
    if labels:
        check_label_matrix(name, target, dataset.task.outputs)
    elif dataset.task.kind == "classification":
        check_class_numbers(name, target, dataset.task.outputs)
    elif not bool(torch.isfinite(target).all()):
        row = int(torch.nonzero(~torch.isfinite(target))[0])
        raise DataError(
            f"{name}: the target of {ids.values[row]!r} is {float(target[row])}; targets must be finite: "
            "leave such rows out, and predict them later"
        )
    for column in dataset.group:
        _check_group(dataset, column)
    for modality, signal in dataset.signals.items():
        _check_signal(f"{name}: modality {modality!r}", signal)


def _check_names(dataset: DatasetParts) -> None:
    """Names are written into files and, as ids are, into fixed-width arrays."""
    kinds: dict[str, Iterable[object]] = {
        "dataset": [dataset.name],
        "split": dataset.splits,
        "class": dataset.task.classes,
        "modality": dataset.signals,
        "column": dataset.columns,
        "id": dataset.columns["id"].distinct,
    }
    for kind, names in kinds.items():
        wrong = next((str(name) for name in names if not is_name(str(name))), None)
        if wrong is not None:
            raise DataError(f"{dataset.name[:80]!r}: the {kind} {wrong[:40]!r} is no name; {NAME_RULE}")


def check_class_numbers(what: str, target: Tensor, classes: int) -> None:
    """Check that the targets of a classification number its classes.

    Args:
        what: begins the error.
        target: (N,) as in `Dataset`.
        classes: C.

    Raises:
        DataError: another type than int64, or a number outside [0, C).
    """
    if target.dtype != torch.int64 or int(target.min()) < 0 or int(target.max()) >= classes:
        raise DataError(
            f"{what}: class numbers must be integers in [0, {classes}); got {target.dtype} from {target.min()} to "
            f"{target.max()}: number the classes from 0"
        )


def check_label_matrix(what: str, target: Tensor, labels: int) -> None:
    """Check that the targets of a multilabel task say 0 or 1 of every label.

    Args:
        what: begins the error.
        target: (N, L) as in `Dataset`.
        labels: L.

    Raises:
        DataError: another shape or type, or other values.
    """
    if target.ndim != 2 or target.shape[1] != labels or target.dtype != torch.float32:
        kind = str(target.dtype).removeprefix("torch.")
        raise DataError(f"{what}: {labels} labels a row are float32 (N, {labels}); got {kind} {tuple(target.shape)}")
    if not bool(((target == 0) | (target == 1)).all()):
        wrong = target[(target != 0) & (target != 1)][0]
        raise DataError(f"{what}: a label of a row is 0 or 1; got {float(wrong)}; write 1 where the row has it")


def check_resolution(name: str, target: Tensor) -> None:
    """Check that 32-bit floats, in which targets are kept and predicted, can tell the targets of a regression apart.

    Args:
        name: of the dataset.
        target: (N,) float64.

    Raises:
        DataError: they differ, and their standard deviation is less than four times the rounding of the largest.
    """
    if len(target) == 0 or bool((target == target[0]).all()):
        return
    std, rounding = float(target.std(correction=0)), float(target.abs().max()) * torch.finfo(torch.float32).eps
    if std < 4 * rounding:
        raise DataError(
            f"{name}: the targets are about {float(target.mean()):.9g} with a standard deviation of {std:.3g}, and 32-bit "
            f"floats round them by {rounding:.2g}; subtract a constant from them"
        )


def _check_group(dataset: DatasetParts, name: str) -> None:
    codes = dataset.columns[name].codes
    development_split: dict[int, str] = {}
    for split, rows in dataset.splits.items():
        for code in torch.unique(codes[rows.start : rows.stop]).tolist():
            if code in development_split:
                value = str(dataset.columns[name].distinct[code])
                raise DataError(
                    f"{dataset.name}: {name} {value!r} has rows in {development_split[code]!r} and in {split!r}; "
                    "split by whole groups, or the scores will reward memorized groups"
                )
            if split in DEVELOPMENT:  # two test splits may share a group, as one speaker clean and whispering
                development_split[code] = split


def _check_signal(what: str, signal: Signal) -> None:
    if not bool(signal.mask.any()):
        raise DataError(f"{what} is absent in every row; leave it out")
    if int(signal.mask.view(torch.uint8).max()) > 1:
        raise DataError(f"{what} has a mask of other values than 0 and 1; give booleans")
    check = _check_steps if signal.values.is_floating_point() else _check_tokens
    size = max(1, CHUNK // max(1, signal.values[0].nbytes))  # bounded memory on a mapped store
    for start in range(0, len(signal), size):
        check(what, signal.values[start : start + size], signal.mask[start : start + size])
        release(signal.values)


def _check_tokens(what: str, values: Tensor, mask: Tensor) -> None:
    if int(values.min()) < 0 or bool((values != 0)[~mask].any()):
        raise DataError(
            f"{what} has tokens below 0, or other than 0 where its mask is False; number them from 0, with 0 as padding"
        )


def _check_steps(what: str, values: Tensor, mask: Tensor) -> None:
    steps = values.reshape(*mask.shape, -1)
    finite = bool(torch.isfinite(steps.sum()))  # a finite sum has finite terms; those of another may be so too
    if not finite and not bool(torch.isfinite(steps).all()):
        raise DataError(f"{what} holds NaN or infinite values; mask those steps")
    if bool((steps[~mask] != 0).any()):
        raise DataError(f"{what} has values other than 0 where its mask is False; set them to 0 with Signal.keep")


def check_all_have_split(name: str, labels: Sequence[str]) -> None:
    """Check that the split of every row has a name.

    Args:
        name: of the dataset.
        labels: N split names.

    Raises:
        DataError: one of them means no value.
    """
    words = folded(MISSING)
    unnamed = [row for row, value in enumerate(labels) if is_missing(value, words)]
    if unnamed:
        raise DataError(
            f"{name}: row {unnamed[0] + 1} has the split {labels[unnamed[0]]!r}, which means no value; name the "
            f"split of all rows ({len(unnamed)} have none)"
        )
