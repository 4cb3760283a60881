"""A small tuning that several tests share."""

from __future__ import annotations

from typing import Any

from deconfound.tuning.spec import TuneSpec
from support.small import FAST

RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def spec(**changes: Any) -> TuneSpec:
    """Two trials of two seeds for ERM and CmIR, nothing given up."""
    values = {
        "trials": 2,
        "seeds": 2,
        "data": {"synthetic": {"rows": 64}},
        "base": {"backbone": {"hidden": 8}, "train": FAST},
        "method": [{"name": "erm"}, {"name": "cmir", "arguments": {"dim": 4}}],
        "search": {"train": {"learning_rate": RATE}},
        "pruning": {"enabled": False},
    }
    return TuneSpec.of(values | changes)
