"""`moments`: label-conditional moment matching. The relation of features to the label is the same in all environments."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.matching import class_moments, regression_moments
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class Moments(Penalty):
    """Squared differences of the moments of the features given the label, mean over the pairs of environments.

    Regression: slope, intercept and residual variance of each feature on the label. Classification: its mean and variance
    in each class. It is the mean over the modalities; rows in which a modality is absent do not count for it. Its unit is
    the spread of each feature, so no encoder can evade it by shrinking. Unlike `coral` and `dann` it allows
    environments to differ in how the labels are distributed.

    With few rows per environment the square of a noisy difference is lowest for features that the label tells well,
    shortcuts too. So by default the differences on two halves of each environment are multiplied, which has no such bias
    and may be negative. A batch with some of the environments estimates the mean over all pairs; its units, the spread of each
    feature, are those of the batch.
    """

    one_label = True

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(0.1, 1000, log=True)] = 10.0,
        ramp: Ramp = 0.2,
        estimate: Annotated[
            Literal["halves", "all"],
            Field(description="product of the differences on two halves of an environment, or square of those on all"),
        ] = "halves",
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.halves = estimate == "halves"

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        return torch.stack(
            [self._modality(loss.features[name], batch.present[name], batch) for name in self.widths]
        ).mean()

    def _modality(self, features: Tensor, present: Tensor, batch: Batch) -> Tensor:
        if self.task.kind == "classification":
            return class_moments(features, present, batch.target, batch.env, self.task.outputs, self.halves)
        return regression_moments(features, present, batch.target, batch.env, self.halves)
