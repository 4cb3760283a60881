"""`gru`: a gated recurrent unit over the steps that exist. The default for sequences."""

from __future__ import annotations

from torch import nn

from deconfound.data.task import Modality
from deconfound.nn.recurrent import Layers, Readout, Recurrent, UnitDropout


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
        layers: Layers = 1,
        readout: Readout = "last",
        dropout: UnitDropout = 0.1,
    ) -> None:
        super().__init__(modality, width, nn.GRU, layers=layers, readout=readout, dropout=dropout)
