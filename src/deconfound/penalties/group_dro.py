"""`group-dro`: the risk of the worst environments counts most (Sagawa et al., ICLR 2020)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.objectives.risks import group_risk, group_step
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class GroupDRO(Penalty):
    """Σ_e q_e R_e less the mean risk, where q moves to the environments of high risk: q_e ∝ q_e exp(η R_e).

    With weight 1 the mean risk of the method is replaced by Σ_e q_e R_e, and its other terms stay. The q of the
    environments in a batch are scaled to sum to 1. They move in training alone and are part of the state.
    """

    log_share: Tensor

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[
            float, Field(ge=0, description="share of Σ q R in the risk; 1 is the published method")
        ] = 1.0,
        rate: Annotated[float, Field(gt=0, description="η, how fast q moves"), Search(0.001, 0.1, log=True)] = 0.01,
        ramp: Ramp = 0.0,
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.rate = rate
        self.register_buffer("log_share", torch.zeros(environments).log_softmax(0))

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.log_share.copy_(group_step(self.log_share, loss.risks, batch.env, self.rate))
        return group_risk(loss.risks, batch.env, self.log_share) - loss.risks.mean()

    @property
    def share(self) -> Tensor:
        """(E,) q, which sums to 1."""
        return self.log_share.exp()
