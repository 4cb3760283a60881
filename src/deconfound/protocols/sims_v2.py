"""CH-SIMS v2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.accuracy import Accuracy
from deconfound.metrics.r2 import R2
from deconfound.protocol import Protocol
from deconfound.protocols.sims import SIMS
from deconfound.scoring.label_classes import clipped, clipped_bins, is_weak


class SIMSv2(Protocol):
    """As `sims`, with the accuracy over the labels in [-0.4, 0.4] and R²."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        **SIMS.metrics,
        "acc-2-weak": Measure(Accuracy(), partial(clipped_bins, (0.0,)), is_weak),
        "r2": Measure(R2(), clipped),
    }
    primary = "mae"
    label_range = (-1.0, 1.0)
    source = "CH-SIMS v2; weak labels lie in [-0.4, 0.4]"
    transform = staticmethod(clipped)
