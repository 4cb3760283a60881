"""How findings name rows."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.data.dataset import Dataset

_MOST = 3


def named_rows(dataset: Dataset, rows: Sequence[int]) -> str:
    """`"'a', 'b', 'c' and 12 more"`: the ids of some rows."""
    ids = [repr(str(dataset.columns["id"].values[row])) for row in rows[:_MOST]]
    more = len(rows) - len(ids)
    return ", ".join(ids) + (f" and {more} more" if more else "")
