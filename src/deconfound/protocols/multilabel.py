"""Any number of labels per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.hamming_loss import HammingLoss
from deconfound.metrics.label_macro_f1 import LabelMacroF1
from deconfound.metrics.label_micro_f1 import LabelMicroF1
from deconfound.metrics.map import MAP
from deconfound.metrics.subset_accuracy import SubsetAccuracy
from deconfound.protocol import Protocol


class Multilabel(Protocol):
    """Standard definitions over all rows; a label is predicted where its probability is a half or more."""

    kind = "multilabel"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "label-macro-f1": Measure(LabelMacroF1()),
        "label-micro-f1": Measure(LabelMicroF1()),
        "map": Measure(MAP()),
        "subset-accuracy": Measure(SubsetAccuracy()),
        "hamming-loss": Measure(HammingLoss()),
    }
    primary = "label-macro-f1"
    source = "standard definitions, all rows"
