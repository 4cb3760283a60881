"""`late-linear`: a logistic or ridge regression of each modality, and the mean of their predictions."""

from __future__ import annotations

from deconfound.compose import FittedMethod
from deconfound.nn.backbone import Backbone
from deconfound.nn.shallow.late_linear import LateLinearModel


class LateLinear(FittedMethod):
    """Late fusion: as `linear`, each modality by itself, from the rows that have it; the mean over the modalities of a row.

    The mean is that of probabilities for classes and of values for numbers. A row without any modality gets the constant.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone, LateLinearModel)
