"""Meaning of split names; loads no PyTorch."""

from __future__ import annotations

from collections.abc import Collection

DEVELOPMENT = ("train", "valid")
"""The splits that training and selection may use; all others are test splits."""

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
