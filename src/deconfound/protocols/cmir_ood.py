"""MOSI-OOD as the CmIR paper measures it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.accuracy import Accuracy
from deconfound.metrics.weighted_f1 import WeightedF1
from deconfound.protocol import Protocol
from deconfound.protocols.cmir import CmIRSentiment
from deconfound.scoring.label_classes import non_negative


class CmIRMosiOod(Protocol):
    """As `cmir`, and two classes with the labels of 0, which count as not negative."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        **CmIRSentiment.metrics,
        "acc-2-has0": Measure(Accuracy(), non_negative),
        "f1-has0": Measure(WeightedF1(), non_negative),
    }
    primary = "mae"
    label_range = (-3.0, 3.0)
    source = "CmIR (Mai & Han, ACL 2026), its Table 3; MOSI-OOD, the split of CLUE"
