"""Any regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from deconfound.metric import Measure
from deconfound.metrics.corr import Corr
from deconfound.metrics.mae import MAE
from deconfound.metrics.mse import MSE
from deconfound.metrics.r2 import R2
from deconfound.protocol import Protocol


class Regression(Protocol):
    """Standard definitions over all rows."""

    kind = "regression"
    metrics: ClassVar[Mapping[str, Measure]] = {
        "mse": Measure(MSE()),
        "mae": Measure(MAE()),
        "corr": Measure(Corr()),
        "r2": Measure(R2()),
    }
    primary = "mse"
    source = "standard definitions, all rows"
