"""`auxiliary`: a head for each modality, whose risk joins the loss, so that no encoder is left untrained."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.nn.unimodal import UnimodalHeads
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.rows import row_mean
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class Auxiliary(Penalty):
    """Mean over the modalities of ℓ(head_m(h_m), y), each over the rows that have it; the heads do not predict.

    It needs no environments. The plain multi-task training to which Wang et al. (What Makes Training Multi-modal
    Classification Networks Hard?, CVPR 2020) compare their weights; `gradient-blending` chooses these.
    """

    compares_environments: ClassVar[bool] = False

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(0.1, 10, log=True)] = 1.0,
        ramp: Ramp = 0.0,
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.heads = UnimodalHeads(backbone)

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        single = risks_of_each(self.task, self.heads(loss.features), batch.target)
        return row_mean(single, self.heads.presence(batch.present)).mean()
