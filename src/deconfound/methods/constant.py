"""`constant`: the same prediction for every row: what can be had without looking."""

from __future__ import annotations

from deconfound.compose import FittedMethod
from deconfound.nn.backbone import Backbone
from deconfound.nn.shallow.constant import ConstantModel


class Constant(FittedMethod):
    """The shares of the classes in the training rows, or the mean of the targets (the median under the absolute error)."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone, ConstantModel)
