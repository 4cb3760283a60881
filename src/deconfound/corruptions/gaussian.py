"""Gaussian noise relative to each feature's own scale."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.corruption import FeatureCorruption, RealModalities, normal


class Gaussian(FeatureCorruption):
    """Adds severity · s_f · N(0, 1) to feature f of every step that exists; s_f is its standard deviation over the
    present steps of the training rows. Severity is any number from 0, in training standard deviations.

    Source: the noise test of CmIR (10 to 70 %), made relative so that one severity means the same for every feature.
    """

    def __init__(self, *, modalities: RealModalities = None) -> None:
        super().__init__(modalities)

    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        return values + severity * std * normal(values, generator)
