"""Laplace noise relative to each feature's own scale."""

from __future__ import annotations

import torch
from torch import Tensor

from deconfound.corruption import FeatureCorruption, RealModalities


class Laplace(FeatureCorruption):
    """Adds severity · s_f · L to feature f of every step that exists, L a Laplace draw of variance 1; s_f is its training
    standard deviation. Severity is any number from 0: heavier tails than `gaussian` at the same severity.

    Source: the out-of-distribution noise of CmIR (appendix), trained on Gaussian noise.
    """

    def __init__(self, *, modalities: RealModalities = None) -> None:
        super().__init__(modalities)

    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        uniform = torch.rand(values.shape, generator=generator, dtype=torch.float32).to(values) - 0.5
        draw = -uniform.sign() * torch.log1p(-2 * uniform.abs().clamp(max=0.4999999)) / 2**0.5
        return values + severity * std * draw
