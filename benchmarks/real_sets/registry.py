"""All sets of the benchmark: name → function of the fold → `Dataset`. A new family is a file with such functions."""

from __future__ import annotations

from collections.abc import Callable

from corpora import corpora
from group_shift import with_shift
from sklearn_sets import SETS

from deconfound.data.dataset import Dataset

GROUP = {
    "av-digits-speaker": "speaker",
    "crema-d-actors": "actor",
    "crema-d-levels": "actor",
    "mosi-vectors": "video",
    **{f"{name}-groups": "group" for name in SETS},
}
"""Set → the column of its groups; the other sets have none."""


def all_sets() -> dict[str, Callable[[int], Dataset]]:
    """Those that this machine has."""
    return {**SETS, **with_shift(SETS), **corpora()}
