"""`dann`: features from which the environment cannot be told (Ganin et al., JMLR 2016)."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import mlp
from deconfound.nn.reversal import reverse_gradient
from deconfound.objectives.rows import row_mean
from deconfound.penalty import Penalty, Ramp
from deconfound.search import Search


class DANN(Penalty):
    """Cross-entropy of an MLP that names the environment from the features of all modalities, with reversed gradient.

    The MLP learns to tell the environments apart and the encoders learn to prevent it. A row without any modality does not
    count. As `coral` it asks for equal features whatever the labels. A batch with equally many rows of some of the
    environments estimates the cross-entropy with all environments counted alike, without bias.
    """

    def __init__(
        self,
        backbone: Backbone,
        environments: int,
        *,
        weight: Annotated[float, Field(ge=0, description="λ"), Search(0.01, 10, log=True)] = 1.0,
        ramp: Ramp = 0.2,
        hidden: Annotated[int, Field(ge=1, le=65_536, description="width of the hidden layers of the MLP")] = 64,
        depth: Annotated[int, Field(ge=1, le=16, description="linear layers of the MLP")] = 2,
    ) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=ramp)
        self.discriminator = mlp(sum(self.widths.values()), hidden, environments, depth=depth, dropout=0.0)

    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        values, present = self.side_by_side(loss, batch)
        logits = self.discriminator(reverse_gradient(values))
        return row_mean(F.cross_entropy(logits.float(), batch.env, reduction="none"), present.any(1))
