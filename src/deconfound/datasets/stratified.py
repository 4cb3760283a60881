"""Splits of whole groups that hold every class in about the same share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from deconfound.datasets.grouped import check_shares, grouped_split

_BINS = 4  # of a number, so that a stratum is a quarter of the rows


def stratified_split(groups: Sequence[str], strata: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """Assign each group to one split at random, so that each stratum has its share of rows in every split.

    Strata are taken from the rarest to the most frequent one, as Sechidis et al. (ECML 2011) do with labels. Each group
    that holds the stratum and has no split goes to the split that has none of it, if there is one, else to the split
    that lacks the most of it. The order of the rows does not matter.

    Args:
        groups: (N) group of each row.
        strata: (N) class of each row.
        shares: split → positive share of the rows; they sum to 1.

    Returns:
        (N) split of each row.

    Raises:
        DataError: what `grouped_split` refuses.
    """
    check_shares(shares, len(set(groups)))
    held: dict[str, Counter[str]] = {name: Counter() for name in sorted(set(groups))}
    for group, stratum in zip(groups, strata, strict=True):
        held[group][stratum] += 1
    names = list(held)
    order = [names[n] for n in torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()]
    totals = Counter(strata)
    lacking = {split: {c: share * n for c, n in totals.items()} for split, share in shares.items()}
    has = {split: Counter[str]() for split in shares}
    split_of: dict[str, str] = {}
    for stratum in sorted(totals, key=lambda c: (totals[c], c)):
        for name in order:
            if name in split_of or not held[name][stratum]:
                continue
            split = max(shares, key=lambda s: (not has[s][stratum], lacking[s][stratum], sum(lacking[s].values())))
            split_of[name] = split
            has[split] += held[name]
            for held_stratum, rows in held[name].items():
                lacking[split][held_stratum] -= rows
    return [split_of[group] for group in groups]


def shares_split(
    groups: Sequence[str], strata: Sequence[str] | None, shares: Mapping[str, float], seed: int
) -> list[str]:
    """(N) split of each row, by `stratified_split` or, without strata, by `grouped_split`; arguments as there."""
    if strata is None:
        return grouped_split(groups, shares, seed)
    return stratified_split(groups, strata, shares, seed)


def strata_of(labels: Sequence[str] | np.ndarray) -> list[str]:
    """(N) classes as they are, or the quarter of each of N numbers."""
    if not isinstance(labels, np.ndarray):
        return list(labels)
    edges = np.nanquantile(labels, np.linspace(0, 1, _BINS + 1)[1:-1])
    return [str(quarter) for quarter in np.digitize(labels, edges).tolist()]
