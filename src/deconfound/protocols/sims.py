"""CH-SIMS."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.accuracy import Accuracy
from deconfound.metrics.corr import Corr
from deconfound.metrics.mae import MAE
from deconfound.metrics.weighted_f1 import WeightedF1
from deconfound.protocol import Protocol
from deconfound.scoring.label_classes import clipped, clipped_bins


class SIMS(Protocol):
    """Both sides are clipped to [-1, 1] first; 0 is negative; bins are closed on the right."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "mae": Measure(MAE(), clipped),
        "corr": Measure(Corr(), clipped),
        "acc-2": Measure(Accuracy(), partial(clipped_bins, (0.0,))),
        "f1": Measure(WeightedF1(), partial(clipped_bins, (0.0,))),
        "acc-3": Measure(Accuracy(), partial(clipped_bins, (-0.1, 0.1))),
        "acc-5": Measure(Accuracy(), partial(clipped_bins, (-0.7, -0.1, 0.1, 0.7))),
    }
    primary = "mae"
    label_range = (-1.0, 1.0)
    source = "CH-SIMS; both sides clipped to [-1, 1]"
    transform = staticmethod(clipped)
