"""`predominant-head`: plain fusion averaged with a head on the predominant modality, trained together.

The control for every method that gives the predominant modality a path of its own: most of what such a method gains in
distribution comes from this head alone. It has no causal reading.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import SpecError, did_you_mean
from deconfound.method import Loss, Method, MethodHooks, WarmUp
from deconfound.nn.backbone import Backbone
from deconfound.nn.unimodal import UnimodalHeads, mean_risks
from deconfound.objectives.averaging import average, risks_of_each
from deconfound.objectives.rows import risk_mean
from deconfound.search import Search


class PredominantHead(Method):
    """L = ℓ(fused, y) + weight · ℓ(head_p(h_p), y); the prediction is the mean of both, as probabilities or values.

    Rows in which the predominant modality is absent are predicted by the fusion alone. With `predominant = "auto"` every
    modality has a head that learns without a gradient to its encoder; before epoch `warmup` the one with the lowest
    validation risk over all rows (an absent modality predicts a constant) becomes the predominant one, for good. Until then
    the fusion predicts alone.

    Raises:
        SpecError: no modality has the name `predominant`.
    """

    one_label, weighs_rows = True, True

    share: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        predominant: Annotated[str, Field(description="a modality, or auto: the best by validation risk")] = "auto",
        warmup: Annotated[int, Field(ge=0, lt=2**31, description="epochs before auto decides")] = 3,
        weight: Annotated[float, Field(gt=0, description="weight of the head's risk"), Search(0.1, 10, log=True)] = 1.0,
    ) -> None:
        super().__init__(backbone, hooks=MethodHooks(on_epoch_start=self._choose, warm_up=self._warm_up))
        names = list(backbone.widths)
        self.automatic = predominant == "auto" and predominant not in names
        if not self.automatic and predominant not in names:
            raise SpecError(f"predominant-head: there is no modality {predominant!r}{did_you_mean(predominant, names)}")
        self.warmup, self.weight = warmup, weight
        self.heads = UnimodalHeads(backbone, names if self.automatic else [predominant])
        self.register_buffer("share", torch.full((len(self.heads.names),), 0.0 if self.automatic else 1.0))

    def forward(self, batch: Batch) -> Tensor:
        features = self.backbone.encode(batch)
        return self._both(self.backbone.predict(features, batch.present), self.heads(features), batch)

    def _both(self, fused: Tensor, single: Tensor, batch: Batch) -> Tensor:
        """(B, outputs) and (M, B, outputs) → (B, outputs)."""
        weights = self.share.unsqueeze(1) * self.heads.presence(batch.present)
        return average(
            self.backbone.task, torch.cat([fused[None], single]), torch.cat([torch.ones_like(weights[:1]), weights])
        )

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction (of the fusion), head (of the predominant modality), probe (of the others,
        which reaches their heads alone).
        """
        features = self.backbone.encode(batch)
        fused = self.backbone.predict(features, batch.present)
        chosen = dict(zip(self.heads.names, self.share, strict=True))
        inputs = {
            name: chosen[name] * features[name] + ((1 - chosen[name]) * features[name]).detach() for name in chosen
        }
        single = self.heads(inputs)
        output = self._both(fused, single, batch)
        target, task = batch.target, self.backbone.task
        risks = risk_mean(
            risks_of_each(self.backbone.task, single, target), self.heads.presence(batch.present), batch.weight
        )
        terms = {"prediction": batch.mean(task.risk(fused, target)), "head": (self.share * risks).sum()}
        total = terms["prediction"] + self.weight * terms["head"]
        monitors = {}
        if self.automatic:
            terms["probe"] = ((1 - self.share) * risks).sum()
            total = total + terms["probe"]
            monitors = {f"predominant/{name}": value for name, value in chosen.items()}
        return Loss(total, terms, task.risk(output, target), features, output, monitors)

    def _warm_up(self) -> WarmUp:
        """The epochs before auto decides."""
        return WarmUp(epochs=self.warmup if self.automatic else 0)

    def _choose(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        if not self.automatic or epoch < self.warmup or bool(self.share.any()):
            return
        rows = development.rows("valid")
        risks = mean_risks(
            self,
            lambda batch: self.heads(self.backbone.encode(batch)),
            development,
            torch.arange(rows.start, rows.stop),
        )
        self.share.copy_(torch.nn.functional.one_hot(risks.argmin(), len(risks)))
