"""Features that jump to one of two extremes."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.corruption import FeatureCorruption, RealModalities, bernoulli


class SaltAndPepper(FeatureCorruption):
    """Sets each feature of every step that exists, with a probability and by itself, to one of two extremes, each half of
    the time: its training mean ± `amplitude` standard deviations. Severity is that probability, from 0 to 1.

    Source: impulse noise of sensors and images.
    """

    maximum = 1.0

    def __init__(
        self,
        *,
        modalities: RealModalities = None,
        amplitude: Annotated[float, Field(gt=0, description="Distance of the extremes in training deviations.")] = 3.0,
    ) -> None:
        super().__init__(modalities)
        self.amplitude = amplitude

    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        hit = bernoulli(severity, values.shape, generator, values.device)
        sign = 2.0 * bernoulli(0.5, values.shape, generator, values.device) - 1
        return torch.where(hit, mean + self.amplitude * std * sign.to(values), values)
