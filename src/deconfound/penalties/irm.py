"""`irm`: one scale of the predictor is optimal in all environments (Arjovsky et al., 2019)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.irm import gradient_penalty
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class IRM(Penalty):
    """Squared derivative of the risk by a factor of the predictions, mean over the environments (IRMv1).

    With few rows per environment the square of a noisy derivative is biased towards predictors with small gradients. So by
    default the derivatives of two halves of each environment are multiplied, which has no bias and may be negative. A
    batch with some of the environments then estimates the mean over all without bias.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(0.1, 10000, log=True)] = 10.0,
        ramp: Ramp = 0.2,
        estimate: Annotated[
            Literal["halves", "all"],
            Field(description="product of the derivatives on two halves of an environment, or square of that on all"),
        ] = "halves",
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.halves = estimate == "halves"

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        return gradient_penalty(loss.output, batch.target, batch.env, self.task.risk, self.halves, batch.weight)
