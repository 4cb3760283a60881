"""CMU-MOSI and CMU-MOSEI as MAG-BERT and its descendants measure them."""

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
from deconfound.scoring.label_classes import is_nonzero, nearest, non_negative


class MAGNonzero(Protocol):
    """Labels of 0 are left out, except of `acc-7`."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "mae": Measure(MAE(), rows=is_nonzero),
        "corr": Measure(Corr(), rows=is_nonzero),
        "acc-2": Measure(Accuracy(), non_negative, is_nonzero),
        "f1": Measure(WeightedF1(), non_negative, is_nonzero),
        "acc-7": Measure(Accuracy(), partial(nearest, 3)),
    }
    primary = "mae"
    label_range = (-3.0, 3.0)
    source = "MAG-BERT and its descendants; labels of 0 are left out"
    rows = staticmethod(is_nonzero)
