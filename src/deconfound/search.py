"""`Search`: the range in which a hyper-parameter is worth tuning, kept in its annotation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Search:
    """A tuning range for `Annotated[float, Search(0.01, 10, log=True)]`.

    Args:
        low, high: inclusive ends.
        log: draw the logarithm uniformly.
    """

    low: float
    high: float
    log: bool = False
