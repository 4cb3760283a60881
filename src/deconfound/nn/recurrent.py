"""`Recurrent`: what the encoders `gru` and `lstm` share."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import masked_mean


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
