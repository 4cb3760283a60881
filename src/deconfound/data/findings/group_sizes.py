"""Groups that split badly: a split of one or two groups, or with one group for most of its rows."""

from __future__ import annotations

import torch

from deconfound.data.dataset import Dataset

_FEWEST = 3
_MOST_OF = 0.5


def find(dataset: Dataset) -> list[str]:
    """One line per split of few groups."""
    if not dataset.group:
        return []
    codes, names = dataset.groups(*dataset.group)
    lines = []
    for split, rows in dataset.splits.items():
        counts = torch.bincount(codes[rows.start : rows.stop])
        number, largest = int((counts > 0).sum()), int(counts.argmax())
        share = int(counts[largest]) / len(rows)
        if number < _FEWEST or share > _MOST_OF:
            lines.append(
                f"{split} has {number} groups of {', '.join(dataset.group)} in {len(rows)} rows, and {names[largest]!r} "
                f"has {share:.0%} of them: its scores are those of few groups; split anew with another seed, other shares "
                "or stratify = true, or test by leaving each group out in turn"
            )
    return lines
