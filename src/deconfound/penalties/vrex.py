"""`vrex`: equal risks in all environments (Krueger et al., ICML 2021)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.risks import mean_risk, risk_variance
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search

LEAST = 1e-6
"""Least mean risk that the variance is divided by: below it nothing is left to make equal, and the quotient overflows."""


class VREx(Penalty):
    """Variance over the environments of the mean risk, over their mean: `objectives.risks.risk_variance` / R̄.

    The division, by the R̄ of the batch without a gradient, is ours: it makes the term a risk, so that a weight means the
    same for risks of 0.1 and of 10. A batch with some of the environments estimates the variance over all, so the weight
    does not depend on how many a batch holds.

    The mean risks of few rows scatter by themselves, which adds to the variance. Their covariance on two halves of each
    environment has no such bias and may be negative, but a large weight follows its noise, which cost more than the bias
    where it was measured (docs/penalties.md).

    A large weight lets the risk of the best environment rise to that of the worst one. Where a shortcut is stronger in
    some environments than in others this makes the method leave it.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(1, 1000, log=True)] = 10.0,
        ramp: Ramp = 0.2,
        estimate: Annotated[
            Literal["halves", "all"],
            Field(
                description="covariance of the mean risks of two halves of each environment, or variance of those of all"
            ),
        ] = "all",
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.halves = estimate == "halves"

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        variance = risk_variance(loss.risks, batch.env, self.trained.sum(), batch.weight, halves=self.halves)
        unit = mean_risk(loss.risks, batch.env, batch.weight).detach()
        return variance / unit.clamp(min=LEAST)
