"""Splits of whole groups: no speaker, session or video is in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from deconfound.errors import DataError


def grouped_split(groups: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """Assign each group to one split at random, with shares of rows as close as the groups allow.

    The groups are shuffled. The first ones give every split one group; each further one goes to the split that lacks
    the most rows. The order of the rows does not matter.

    Args:
        groups: (N) group of each row.
        shares: split → positive share of the rows; they sum to 1.

    Returns:
        (N) split of each row.

    Raises:
        DataError: shares that are not positive or do not sum to 1, or fewer groups than splits.
    """
    sizes = Counter(groups)
    check_shares(shares, len(sizes))
    names = sorted(sizes)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    lacking = {split: share * len(groups) for split, share in shares.items()}
    split_of: dict[str, str] = {}
    for position, number in enumerate(order):
        name = names[number]
        first = list(shares)[position] if position < len(shares) else None
        split = first or max(lacking, key=lambda s: lacking[s])
        split_of[name] = split
        lacking[split] -= sizes[name]
    return [split_of[group] for group in groups]


def check_shares(shares: Mapping[str, float], groups: int) -> None:
    """Refuse shares that cannot be met.

    Raises:
        DataError: shares that are not positive or do not sum to 1, or fewer groups than splits.
    """
    possible = all(0 < share <= 1 for share in shares.values())  # NaN is not
    if not shares or not possible or not abs(sum(shares.values()) - 1) <= 1e-6:
        raise DataError(f"shares must be positive and sum to 1; got {dict(shares)}")
    if groups < len(shares):
        raise DataError(f"{groups} groups cannot fill {len(shares)} splits; group by another column")
