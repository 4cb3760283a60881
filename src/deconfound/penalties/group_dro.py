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

    With weight 1 the mean risk of the method is replaced by Σ_e q_e R_e, and its other terms stay. A batch with some of the
    environments estimates that sum, and moves q, as `objectives.risks.group_risk` and `group_step`: by importance weights,
    so that the mean over batches is that of batches with all of them. Few environments per batch make both noisy. q moves in
    training alone, is part of the state and sums to 1 over the environments that have training rows.
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
        log_share = self._log_share()
        if self.training:
            with torch.no_grad():
                log_share = group_step(log_share, loss.risks, batch.env, self.rate * batch.view.weight, batch.weight)
                self.log_share.copy_(torch.where(self.trained, log_share, self.log_share))
        return group_risk(loss.risks, batch.env, log_share, batch.weight) - batch.mean(loss.risks)

    def _log_share(self) -> Tensor:
        return self.log_share.masked_fill(~self.trained, -torch.inf).log_softmax(0)

    @property
    def share(self) -> Tensor:
        """(E,) q, which sums to 1; 0 for an environment without training rows."""
        return self._log_share().exp()
