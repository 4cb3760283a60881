"""Meaning of split names; loads no PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from deconfound.errors import DataError

DEVELOPMENT = ("train", "valid")
"""The splits that training and selection may use; all others are test splits."""

TAKE_VALID = (
    "take a share of train: valid = 0.15 under [data], or under [split] of a table, --valid 0.15 at import, or "
    "deconfound.take_validation(data, 0.15) in Python"
)
"""What to do about data without a split "valid"."""

_OTHER_NAMES = {"train": ("training",), "valid": ("val", "dev", "validation", "development")}

LEFT_OUT = ("leave-one-environment-out", "worst-left-out-environment")
"""Selection rules that score runs on left-out environments."""


def in_distribution(splits: Collection[str]) -> str | None:
    """The test split with the distribution of the training rows, or None.

    This is "test-iid", else "test", else the first whose name does not begin with "test-", a prefix that marks a shift.

    Args:
        splits: names of test splits, in their order.
    """
    plain = (name for name in splits if not name.startswith("test-"))
    return next((name for name in ("test-iid", "test", *plain) if name in splits), None)


def known_names(splits: Collection[str]) -> dict[str, str]:
    """Other names of the splits "train" and "valid" that occur, whatever their case → these.

    A name is taken only where the split has no name of its own and one other name, so "val" beside "valid" stays a test.
    """
    renamed: dict[str, str] = {}
    for split, others in _OTHER_NAMES.items():
        candidates = [name for name in dict.fromkeys(splits) if name.casefold() in (split, *others)]
        if split not in splits and len(candidates) == 1:
            renamed[candidates[0]] = split
    return renamed


def rows_by_split(labels: Sequence[str]) -> list[int]:
    """N row numbers sorted by split: "train", "valid", then the others as they first occur; stable.

    Args:
        labels: N split names.
    """
    rank = {name: position for position, name in enumerate(dict.fromkeys([*DEVELOPMENT, *labels]))}
    return sorted(range(len(labels)), key=lambda row: rank[labels[row]])


def check_ranges(splits: Mapping[str, range], rows: int) -> None:
    """Check that no row is in two splits, so that a range stands for its rows and no others.

    Args:
        splits: split name → its rows.
        rows: N, the number of all rows.

    Raises:
        DataError: a range has gaps, leaves the rows 0 to N − 1, or meets another one.
    """
    edge, before = 0, ""
    for name, numbers in sorted(splits.items(), key=lambda item: (item[1].start, item[1].stop)):
        if numbers.step != 1 or not 0 <= numbers.start <= numbers.stop <= rows:
            raise DataError(f"the split {name!r} is {numbers} of {rows} rows; a split is a range of rows without gaps")
        if numbers.start < edge:
            raise DataError(f"the splits {before!r} and {name!r} share rows; a row belongs to one split")
        edge, before = numbers.stop, name


def check_split_order(splits: Mapping[str, range], rows: int) -> None:
    """Check that the splits follow each other without gaps: "train", "valid", then the test splits.

    Args:
        splits: split name → its rows, in their order.
        rows: N, the number of all rows.

    Raises:
        DataError: a split is empty, out of place, or not all rows are in one.
    """
    names = list(splits)
    if names != [*(name for name in DEVELOPMENT if name in splits), *(n for n in names if n not in DEVELOPMENT)]:
        raise DataError(f"the splits are in the order {', '.join(names)}; 'train' and 'valid' come first")
    edge = 0
    for name, numbers in splits.items():
        if numbers.start != edge:
            raise DataError(f"the splits do not follow each other: {name!r} begins at row {numbers.start}, not {edge}")
        if numbers.stop <= numbers.start:
            raise DataError(f"the split {name!r} is empty")
        edge = numbers.stop
    if edge != rows:
        raise DataError(f"the splits end at row {edge} of {rows}")


def check_split_names(names: Collection[str], scenarios: Collection[str]) -> None:
    """Check that the scenario of a split, which has its name, cannot be mistaken for another scenario.

    Args:
        names: of splits.
        scenarios: names that other scenarios have, besides "present=MODALITIES".

    Raises:
        DataError: a name is taken, or is blank or holds characters that cannot be printed.
    """
    for name in names:
        if not name.strip() or not name.isprintable():
            raise DataError(f"the split {name!r} needs a name of printable characters; rename it")
        if name in scenarios or name.startswith("present="):
            raise DataError(
                f"the split {name!r} has the name of a scenario of the evaluation; rename it, to 'test-{name}'"
            )
