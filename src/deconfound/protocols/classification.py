"""Any classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.accuracy import Accuracy
from deconfound.metrics.auroc import AUROC
from deconfound.metrics.macro_f1 import MacroF1
from deconfound.metrics.weighted_f1 import WeightedF1
from deconfound.metrics.worst_class_recall import WorstClassRecall
from deconfound.protocol import Protocol


class Classification(Protocol):
    """Standard definitions over all rows."""

    kind = "classification"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "accuracy": Measure(Accuracy()),
        "weighted-f1": Measure(WeightedF1()),
        "macro-f1": Measure(MacroF1()),
        "worst-class-recall": Measure(WorstClassRecall()),
        "auroc": Measure(AUROC()),
    }
    primary = "accuracy"
    source = "standard definitions, all rows"
