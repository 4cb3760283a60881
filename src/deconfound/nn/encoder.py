"""`Encoder`: turns one modality into one feature vector per row."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from deconfound.data.task import Modality


class Encoder(nn.Module, ABC):
    """Base of all named encoders. A subclass takes (modality, width) and hyper-parameters as keywords.

    Any `nn.Module` with this `forward` serves as an encoder when passed in Python.

    Args:
        modality: form of the input.
        width: H, the width of the features.
    """

    def __init__(self, modality: Modality, width: int) -> None:
        super().__init__()
        self.modality = modality
        self.width = width

    @abstractmethod
    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T, *F) standardised values, (B, T) mask → (B, H); finite for rows without any step, padding ignored."""
