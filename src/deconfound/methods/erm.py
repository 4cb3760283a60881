"""`erm`: empirical risk minimisation, the plain baseline: encode, fuse, predict, minimise the mean risk."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss, Method
from deconfound.nn.backbone import Backbone


class ERM(Method):
    """Mean of the task's risk over the rows. No arguments of its own: everything is in the backbone."""

    weighs_rows = True

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        total = batch.mean(risks)
        return Loss(total, {"prediction": total}, risks, features, output)
