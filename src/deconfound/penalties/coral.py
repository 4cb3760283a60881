"""`coral`: equal mean and covariance of the features in all environments (Sun & Saenko, 2016)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.matching import coral
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class CORAL(Penalty):
    """Squared differences of the means and of the covariances of the features, mean over the pairs of environments.

    It compares the features of all modalities side by side, so covariances between modalities count too; rows in which a
    modality is absent do not count for it. It asks for equal features whatever the labels: where environments differ in
    how the labels are distributed, that costs accuracy.

    A batch with some of the environments estimates the mean over all pairs without bias. Means and covariances of few rows
    scatter by themselves, and their squared differences grow by that, the more the fewer rows.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="γ"), Search(0.1, 100, log=True)] = 1.0,
        ramp: Ramp = 0.2,
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        return coral(*self.side_by_side(loss, batch), batch.env)
