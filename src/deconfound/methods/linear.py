"""`linear`: logistic regression for classes, ridge regression for numbers, on the pooled features of all modalities."""

from __future__ import annotations

from deconfound.compose import FittedMethod
from deconfound.nn.backbone import Backbone
from deconfound.nn.shallow.linear import LinearModel


class Linear(FittedMethod):
    """The control that any network must beat. Fitted at once by scikit-learn; no arguments.

    The features are the mean of the scaled input over the steps that exist, all modalities side by side. An absent modality
    has the mean of the training rows and an indicator. Among 15 penalties the lowest validation risk decides.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone, LinearModel)
