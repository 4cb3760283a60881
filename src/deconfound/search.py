"""`Search`: the tuning range of a hyperparameter, kept in its annotation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Search:
    """A tuning range for `Annotated[float, Search(0.01, 10, log=True)]`.

    Args:
        low, high: inclusive bounds.
        log: sample the logarithm uniformly instead of the value.
    """

    low: float
    high: float
    log: bool = False
