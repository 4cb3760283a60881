"""`gradient-blending`: fused and unimodal losses weighted by how they overfit and generalise (Wang et al., CVPR 2020)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.method import Loss, Method, MethodHooks, WarmUp
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import training_rows
from deconfound.nn.unimodal import UnimodalHeads, mean_risks
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.blending import blend_weights
from deconfound.objectives.rows import risk_mean


class GradientBlending(Method):
    """L = w_0 ℓ(fused, y) + Σ_m w_m ℓ(head_m(h_m), y), Σ w = 1; the fused prediction is the output.

    The weights follow `objectives.blending.blend_weights`, from the training and validation risks of the heads at two
    moments of this training, `every` epochs apart; they are equal until the first estimate. `online` estimates them anew
    every `every` epochs, `offline` once. The paper trains each modality by itself from a snapshot for an estimate; the
    heads of the joint training stand in for that here. A head without weight would then stand still and could never earn any
    again, so a small share of the weight is dealt equally.

    The validation rows that choose the weights also choose the epoch, as in the paper.
    """

    weighs_rows = True

    weights: Tensor
    before: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        when: Annotated[
            Literal["online", "offline"], Field(description="weights anew every so many epochs, or once for all")
        ] = "online",
        every: Annotated[int, Field(ge=1, lt=2**31, description="epochs between the two moments of an estimate")] = 5,
        equal: Annotated[
            float,
            Field(ge=0, le=1, description="share of the weight that is dealt equally; 1 is plain multi-task training"),
        ] = 0.1,
    ) -> None:
        super().__init__(backbone, hooks=MethodHooks(on_epoch_start=self._update_weights, warm_up=self._warm_up))
        self.when, self.every, self.equal = when, every, equal
        self.heads = UnimodalHeads(backbone)
        count = 1 + len(self.heads.names)
        self.register_buffer("weights", torch.full((count,), 1 / count))
        self.register_buffer("before", torch.zeros(2, count))  # training and validation risk at the last moment

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: `prediction` and `unimodal/MODALITY`, over the rows that have it. Monitors: `weight/fused`
        and `weight/MODALITY`.
        """
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        single = risks_of_each(self.backbone.task, self.heads(features), batch.target)
        own = risk_mean(single, self.heads.presence(batch.present), batch.weight)
        total = (self.weights * torch.cat([batch.mean(risks)[None], own])).sum()
        terms = {"prediction": batch.mean(risks)}
        terms |= {f"unimodal/{name}": value for name, value in zip(self.heads.names, own, strict=True)}
        names = ("fused", *self.heads.names)
        monitors = {f"weight/{name}": value.clone() for name, value in zip(names, self.weights, strict=True)}
        return Loss(total, terms, risks, features, output, monitors)

    def _warm_up(self) -> WarmUp:
        """The epochs before the first estimate."""
        return WarmUp(epochs=self.every if self.equal < 1 else 0)

    def _update_weights(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        if epoch % self.every or (self.when == "offline" and epoch > self.every):
            return
        valid = development.rows("valid")
        moments = [
            mean_risks(self, self._outputs, development, rows)
            for rows in (training_rows(development), torch.arange(valid.start, valid.stop))
        ]
        now = torch.stack(moments).to(self.before)
        if epoch > 0:
            self.weights.copy_((1 - self.equal) * blend_weights(self.before, now) + self.equal / len(self.weights))
        self.before.copy_(now)

    def _outputs(self, batch: Batch) -> Tensor:
        """(1 + M, B, outputs): the fused prediction and those of the heads."""
        features = self.backbone.encode(batch)
        fused = self.backbone.predict(features, batch.present)
        return torch.cat([fused[None], self.heads(features)])
