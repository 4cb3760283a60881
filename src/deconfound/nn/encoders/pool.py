"""`pool`: the mean of the standardised input over the steps that exist. It has no parameters."""

from __future__ import annotations

from math import prod

from torch import Tensor

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import masked_mean


class Pool(Encoder):
    """The input itself, for features that need no further encoding; its width is D (flattened), whatever was asked.

    Raises:
        SpecError: the modality holds tokens.
    """

    def __init__(self, modality: Modality, width: int) -> None:
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder 'pool' needs floats; {modality.name} holds tokens: pass your own module for it"
            )
        super().__init__(modality, prod(modality.shape))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(values.flatten(2), mask)
