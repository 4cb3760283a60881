"""`vrex`: equal risks in all environments (Krueger et al., ICML 2021)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.risks import risk_variance
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class VREx(Penalty):
    """Variance over the environments of the mean risk, as `objectives.risks.risk_variance`.

    A batch with some of the environments estimates the variance over all, so the weight does not depend on how many a batch
    holds. The mean risks of few rows scatter by themselves, which adds to it: the more rows an environment has in the batch,
    the less.

    A large weight lets the risk of the best environment rise to that of the worst one. Where a shortcut is stronger in
    some environments than in others this makes the method leave it.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(1, 1000, log=True)] = 100.0,
        ramp: Ramp = 0.2,
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        return risk_variance(loss.risks, batch.env, self.trained.sum(), batch.weight)
