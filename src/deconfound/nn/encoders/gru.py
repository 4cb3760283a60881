"""`gru`: a gated recurrent unit over the steps that exist. The default for sequences."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import masked_mean
from deconfound.search import Search


class GRU(Encoder):
    """Steps under a False mask are left out, wherever they are: padding in front or behind and dropped frames alike.

    Raises:
        SpecError: the modality holds tokens.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        layers: Annotated[int, Field(ge=1, le=8, description="number of recurrent layers")] = 1,
        readout: Annotated[
            Literal["last", "mean"], Field(description="state after the last step, or mean of the states")
        ] = "last",
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(modality, width)
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder 'gru' needs floats; {modality.name} holds tokens: pass your own module for it"
            )
        self.readout = readout
        self.recurrent = nn.GRU(
            prod(modality.shape), width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1)
        order = torch.argsort(mask, dim=1, descending=True, stable=True)  # steps that exist first, in their order
        if values.device.type == "cpu" and not torch.compiler.is_compiling():
            order = order[:, : max(1, int(lengths.max()))]  # on an accelerator this would wait for the device
        steps = values.flatten(2)
        steps = steps.gather(1, order.unsqueeze(2).expand(-1, -1, steps.shape[2]))
        states, _ = self.recurrent(steps)
        if self.readout == "mean":
            return self.drop(masked_mean(states, mask.gather(1, order)))
        last = (lengths - 1).clamp(min=0).reshape(-1, 1, 1).expand(-1, 1, states.shape[2])
        return self.drop(states.gather(1, last).squeeze(1))
