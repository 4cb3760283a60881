"""Rows whose inputs are equal: in two splits, or with contradicting labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import combinations

from deconfound.data.dataset import Dataset
from deconfound.data.findings.wording import named_rows


def find(dataset: Dataset) -> list[str]:
    """One line per pair of splits that share rows, one per split with repeated rows, and one for contradicting labels."""
    rows_of: dict[bytes, list[int]] = {}
    for row, digest in enumerate(row_digests(dataset, range(len(dataset)))):
        rows_of.setdefault(digest, []).append(row)
    repeated = [rows for rows in rows_of.values() if len(rows) > 1]
    return _across(dataset, repeated) + _within(dataset, repeated) + _contradicting(dataset, repeated)


def _across(dataset: Dataset, repeated: list[list[int]]) -> list[str]:
    lines = []
    for first, second in combinations(dataset.splits, 2):
        early, late = dataset.splits[first], dataset.splits[second]
        shared = [row for rows in repeated if any(r in early for r in rows) for row in rows if row in late]
        if shared:
            lines.append(
                f"{len(shared)} of {len(late)} rows of {second} equal rows of {first} in all modalities "
                f"({named_rows(dataset, shared)}): they do not test anything new; keep them in one split"
            )
    return lines


def _within(dataset: Dataset, repeated: list[list[int]]) -> list[str]:
    lines = []
    for split, numbers in dataset.splits.items():
        again = sorted(row for rows in repeated for row in [row for row in rows if row in numbers][1:])
        if again:
            lines.append(
                f"{len(again)} of {len(numbers)} rows of {split} equal earlier rows of {split} in all modalities "
                f"({named_rows(dataset, again)}): they count several times; keep one of each"
            )
    return lines


def _contradicting(dataset: Dataset, repeated: list[list[int]]) -> list[str]:
    torn = [rows for rows in repeated if len(dataset.target[rows].unique(dim=0)) > 1]
    if not torn:
        return []
    rows = [row for group in torn for row in group]
    counts = {split: sum(row in numbers for row in rows) for split, numbers in dataset.splits.items()}
    where = ", ".join(f"{count} of {split}" for split, count in counts.items() if count)
    return [
        f"{len(rows)} rows ({where}) in {len(torn)} sets of equal inputs have contradicting labels "
        f"({named_rows(dataset, rows)}): "
        "no model can fit them; keep one row of each set, or merge the labels"
    ]


def row_digests(dataset: Dataset, rows: Iterable[int]) -> list[bytes]:
    """A digest of the inputs of each of some rows; rows in which everything is absent are all different."""
    parts = [(signal.values.numpy(), signal.mask.numpy()) for signal in dataset.signals.values()]
    digests = []
    for row in rows:
        digest = hashlib.blake2b(digest_size=16)
        if not any(mask[row].any() for _, mask in parts):
            digest.update(str(row).encode())
        for values, mask in parts:
            digest.update(mask[row].tobytes())
            digest.update(values[row].tobytes())
        digests.append(digest.digest())
    return digests
