"""CMU-MOSI and CMU-MOSEI as the CmIR paper measures them."""

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
from deconfound.scoring.label_classes import is_nonzero, nearest, positive


class CmIRSentiment(Protocol):
    """Two classes without the labels of 0; mean absolute error, correlation and seven classes with all rows.

    The paper does not say how its F1 weighs the classes; by their rows, as its sources do, is likely.
    """

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "mae": Measure(MAE()),
        "corr": Measure(Corr()),
        "acc-7": Measure(Accuracy(), partial(nearest, 3)),
        "acc-2-non0": Measure(Accuracy(), positive, is_nonzero),
        "f1-non0": Measure(WeightedF1(), positive, is_nonzero),
    }
    primary = "mae"
    label_range = (-3.0, 3.0)
    source = "CmIR (Mai & Han, ACL 2026); CMU-MOSI and CMU-MOSEI"
