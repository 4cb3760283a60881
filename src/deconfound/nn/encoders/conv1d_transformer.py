"""`conv1d-transformer`: a temporal convolution, then self-attention: the unimodal network of CmIR (Mai & Han, ACL 2026)."""

from __future__ import annotations

from math import prod
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.encoders.transformer import Transformer
from deconfound.search import Search


class Conv1dTransformer(Encoder):
    """A convolution over neighbouring steps, which sees absent steps as 0, then `transformer` of the same width.

    Raises:
        SpecError: an even kernel, or as `transformer`.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        kernel: Annotated[int, Field(ge=1, le=31, description="steps that the convolution sees; odd")] = 3,
        layers: Annotated[int, Field(ge=1, le=24, description="number of attention layers")] = 2,
        heads: Annotated[int, Field(ge=1, le=65_536, description="attention heads; must divide the hidden width")] = 4,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(modality, width)
        if kernel % 2 == 0:
            raise SpecError(f"kernel = {kernel} has no middle; choose an odd number")
        if modality.kind == "tokens":
            raise SpecError(
                f"the encoder 'conv1d-transformer' needs floats; {modality.name} holds tokens: pass your own module for it"
            )
        self.enter = nn.Conv1d(prod(modality.shape), width, kernel, padding=kernel // 2, bias=False)
        self.attend = Transformer(
            Modality(modality.name, modality.steps, (width,)), width, layers=layers, heads=heads, dropout=dropout
        )

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        steps = self.enter(values.flatten(2).transpose(1, 2)).transpose(1, 2)
        return self.attend(steps, mask)
