"""Features erased at random."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.corruption import FeatureCorruption, RealModalities, bernoulli


class Erase(FeatureCorruption):
    """Sets each feature of every step that exists to its training mean with a probability, by itself; severity is that
    probability, from 0 to 1.

    The mean is the zero of standardised features. Source: random zeroing in the out-of-distribution noise of CmIR.
    """

    maximum = 1.0

    def __init__(self, *, modalities: RealModalities = None) -> None:
        super().__init__(modalities)

    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        return torch.where(bernoulli(severity, values.shape, generator, values.device), mean.expand_as(values), values)
