"""`Recurrent`: what the encoders `gru` and `lstm` share."""

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

Layers = Annotated[int, Field(ge=1, le=8, description="number of recurrent layers")]
Readout = Annotated[Literal["last", "mean"], Field(description="state after the last step, or mean of the states")]
UnitDropout = Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)]
"""Arguments of both encoders."""


class Recurrent(Encoder):
    """Steps under a False mask are left out, wherever they are: padding in front or behind and dropped frames alike.

    Args:
        kind: `nn.GRU` or `nn.LSTM`.
        layers: number of recurrent layers.
        readout: "last" for the state after the last step, "mean" for the mean of the states.
        dropout: share of units dropped between layers and behind the last one.

    Raises:
        SpecError: the modality holds tokens.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        kind: type[nn.GRU] | type[nn.LSTM],
        *,
        layers: int,
        readout: str,
        dropout: float,
    ) -> None:
        super().__init__(modality, width)
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder '{kind.__name__.lower()}' needs floats; {modality.name} holds tokens: pass your own module "
                "for it"
            )
        self.readout = readout
        between = dropout if layers > 1 else 0.0
        self.recurrent = kind(prod(modality.shape), width, layers, batch_first=True, dropout=between)
        self.drop = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1)
        steps, mask = _existing_first(values.flatten(2), mask, lengths)
        states, _ = self.recurrent(steps)
        if self.readout == "mean":
            return self.drop(masked_mean(states, mask))
        last = (lengths - 1).clamp(min=0).reshape(-1, 1, 1).expand(-1, 1, states.shape[2])
        return self.drop(states.gather(1, last).squeeze(1))


def _existing_first(steps: Tensor, mask: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, D) steps and (B, T) bool with the steps that exist first, in order; on a CPU as short as the longest row."""
    if _values_can_be_read(mask):
        longest = max(1, int(lengths.max()))
        if bool((mask[:, 1:] <= mask[:, :-1]).all()):
            return steps[:, :longest], mask[:, :longest]
    else:
        longest = mask.shape[1]
    order = torch.argsort(mask, dim=1, descending=True, stable=True)[:, :longest]
    return steps.gather(1, order.unsqueeze(2).expand(-1, -1, steps.shape[2])), mask.gather(1, order)


def _values_can_be_read(tensor: Tensor) -> bool:
    """Whether the program may depend on values: on an accelerator it would wait for the device, and a graph would break."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()
