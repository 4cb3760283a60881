"""CMU-MOSI and CMU-MOSEI as the MMSA tool measures them."""

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
from deconfound.scoring.label_classes import is_nonzero, nearest, non_negative, positive


class MMSARegression(Protocol):
    """Unclipped MAE and correlation; two classes with and without the labels of 0; five and seven by rounding."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "mae": Measure(MAE()),
        "corr": Measure(Corr()),
        "acc-7": Measure(Accuracy(), partial(nearest, 3)),
        "acc-5": Measure(Accuracy(), partial(nearest, 2)),
        "acc-2-has0": Measure(Accuracy(), non_negative),
        "f1-has0": Measure(WeightedF1(), non_negative),
        "acc-2-non0": Measure(Accuracy(), positive, is_nonzero),
        "f1-non0": Measure(WeightedF1(), positive, is_nonzero),
    }
    primary = "mae"
    label_range = (-3.0, 3.0)
    source = "the MMSA tool; CMU-MOSI and CMU-MOSEI"
