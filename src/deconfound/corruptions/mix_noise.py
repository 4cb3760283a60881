"""Features mixed with noise, as CmIR does it."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.corruption import FeatureCorruption, RealModalities, normal


class MixNoise(FeatureCorruption):
    """Turns a standardised feature x into (1 − severity) · x + severity · N(0, 1), at every step that exists; severity is
    from 0 to 1, at which nothing of the feature is left.

    Source: the noise test of CmIR (its Table 4), there on pooled unimodal vectors and in training too.
    """

    maximum = 1.0

    def __init__(self, *, modalities: RealModalities = None) -> None:
        super().__init__(modalities)

    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        return mean + (1 - severity) * (values - mean) + severity * std * normal(values, generator)
