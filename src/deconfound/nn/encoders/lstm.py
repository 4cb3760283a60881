"""`lstm`: long short-term memory over the steps that exist. On a CPU it takes about .6 of the time of `gru`."""

from __future__ import annotations

from torch import nn

from deconfound.data.task import Modality
from deconfound.nn.recurrent import Layers, Readout, Recurrent, UnitDropout


class LSTM(Recurrent):
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
        super().__init__(modality, width, nn.LSTM, layers=layers, readout=readout, dropout=dropout)
