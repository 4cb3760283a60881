"""`qmf`: quality-aware multimodal fusion, late fusion whose weights follow each row's confidence (ICML 2023)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.method import Loss, Method, MethodHooks
from deconfound.nn.backbone import Backbone
from deconfound.nn.fusions import qmf
from deconfound.nn.history import LossHistory, rank_risk
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.rows import risk_mean, row_mean
from deconfound.search import Search


class QualityAwareFusion(Method):
    """L = ℓ(fused, y) + Σ_m ( ℓ(f_m, y) + rank · R_m ), after Zhang et al., ICML 2023.

    R_m asks that rows whose mean loss over the training so far is higher get a lower confidence w_m. The method has the
    fusion `qmf`, whatever the backbone names; arguments given to a fusion of that name are kept. Each modality counts the
    rows that have it.
    """

    one_label, weighs_rows = True, True

    def __init__(
        self,
        backbone: Backbone,
        *,
        rank: Annotated[float, Field(ge=0, description="λ of the rank terms"), Search(0.01, 10, log=True)] = 1.0,
        unimodal: Annotated[
            float, Field(gt=0, description="weight of the modalities' own risks"), Search(0.1, 10, True)
        ] = 1.0,
        margin: Annotated[
            Literal["tolerated", "enforced"],
            Field(
                description="confidences in the wrong order are charged beyond the gap of the losses, or up to it too"
            ),
        ] = "tolerated",
    ) -> None:
        hooks = MethodHooks(on_epoch_start=self._size_history)
        super().__init__(backbone.resized(backbone.widths, "qmf"), hooks=hooks)
        self.rank, self.unimodal, self.margin = rank, unimodal, 1.0 if margin == "enforced" else -1.0
        self.history = LossHistory(len(backbone.widths))

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def _size_history(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        self.history.grow(development.rows("train").stop)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction, unimodal and rank, both summed over the modalities. Monitors:
        `confidence/MODALITY`, the mean of w_m over the rows that have it.
        """
        fusion = self.backbone.fusion
        assert isinstance(fusion, qmf.QMF)
        features = self.backbone.encode(batch)
        present = torch.stack([batch.present[name] for name in fusion.widths])
        single, confidence = fusion.single(features)
        output = fusion.join(single, confidence, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        own = risks_of_each(self.backbone.task, single, batch.target)
        history = self.history(batch.ids, own, present, batch.view.weight)
        terms = {
            "prediction": batch.mean(risks),
            "unimodal": risk_mean(own, present, batch.weight).sum(),
            "rank": rank_risk(confidence, history, present, self.margin).sum(),
        }
        total = terms["prediction"] + self.unimodal * terms["unimodal"] + self.rank * terms["rank"]
        sure = row_mean(confidence.detach(), present)
        monitors = {f"confidence/{name}": value for name, value in zip(fusion.widths, sure, strict=True)}
        return Loss(total, terms, risks, features, output, monitors)
