"""`mlp`: an MLP on each step, then the mean over the steps that exist. The default for vectors."""

from __future__ import annotations

from math import prod
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import masked_mean, mlp
from deconfound.search import Search


class MLP(Encoder):
    """Linear layers with GELU and dropout on the flattened values of each step; for a vector (T = 1) a plain MLP.

    Raises:
        SpecError: the modality holds tokens.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        depth: Annotated[int, Field(ge=1, le=16, description="number of linear layers")] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(modality, width)
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder 'mlp' needs floats; {modality.name} holds tokens: pass your own module for it"
            )
        self.layers = mlp(prod(modality.shape), width, width, depth=depth, dropout=dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        steps = F.gelu(self.layers(values.flatten(2)))
        return steps.squeeze(1) if steps.shape[1] == 1 else masked_mean(steps, mask)
