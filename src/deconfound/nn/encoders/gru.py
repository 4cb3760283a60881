"""`gru`: a gated recurrent unit over the steps that exist. The default for sequences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from deconfound.data.task import Modality
from deconfound.nn.recurrent import Recurrent
from deconfound.search import Search


class GRU(Recurrent):
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
        super().__init__(modality, width, nn.GRU, layers=layers, readout=readout, dropout=dropout)
