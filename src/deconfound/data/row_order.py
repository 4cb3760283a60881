"""The order of rows in a dataset: split after split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deconfound.data.splits import DEVELOPMENT


def rows_by_split(labels: Sequence[str]) -> np.ndarray:
    """(N,) int64 row numbers sorted by split: "train", "valid", then the others as they first occur; stable.

    Args:
        labels: N split names.
    """
    rank = {name: position for position, name in enumerate(dict.fromkeys([*DEVELOPMENT, *labels]))}
    return np.argsort([rank[name] for name in labels], kind="stable")
