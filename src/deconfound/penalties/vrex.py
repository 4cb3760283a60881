"""`vrex`: equal risks in all environments (Krueger et al., ICML 2021)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.risks import mean_risk, risk_variance
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class VREx(Penalty):
    """Variance over the environments of the mean risk, over their mean: `objectives.risks.risk_variance` / R̄.

    The division, by the R̄ of the batch without a gradient, is ours: it makes the term a risk, so that a weight means the
    same for risks of 0.1 and of 10. The mean risks of few rows scatter by themselves. So by default their covariance on two
    halves of each environment is taken, which has no such bias and may be negative. A batch with some of the environments
    estimates the variance over all, so the weight does not depend on how many a batch holds.

    A large weight lets the risk of the best environment rise to that of the worst one. Where a shortcut is stronger in
    some environments than in others this makes the method leave it.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(0.5, 50, log=True)] = 10.0,
        ramp: Ramp = 0.2,
        estimate: Annotated[
            Literal["halves", "all"],
            Field(
                description="covariance of the mean risks of two halves of each environment, or variance of those of all"
            ),
        ] = "halves",
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.halves = estimate == "halves"

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        variance = risk_variance(loss.risks, batch.env, self.trained.sum(), halves=self.halves)
        unit = mean_risk(loss.risks, batch.env).detach()
        return variance / unit.clamp(min=torch.finfo(unit.dtype).tiny)
