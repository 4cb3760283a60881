"""How latent factors become features: an injective mixing, and sensor noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from deconfound.data.signal import Signal


@dataclass(frozen=True, eq=False)
class Mixing:
    """x = h + nonlinearity · tanh(R h) + noise · N with h = A z; injective in z for a nonlinearity below 1.

    Args:
        basis: (D, d) orthogonal columns A, scaled so that latents of unit variance give features of unit variance.
        rotation: (D, D) R.
        nonlinearity: in [0, 1); 0 is linear.
        noise: standard deviation.
    """

    basis: Tensor
    rotation: Tensor
    nonlinearity: float
    noise: float

    @classmethod
    def draw(cls, latents: int, features: int, nonlinearity: float, noise: float, generator: torch.Generator) -> Mixing:
        """A random basis and rotation."""
        basis = torch.linalg.qr(torch.randn(features, latents, generator=generator)).Q
        rotation = torch.linalg.qr(torch.randn(features, features, generator=generator)).Q
        return cls(basis * math.sqrt(features / latents), rotation, nonlinearity, noise)

    def observe(self, latent: Tensor, generator: torch.Generator, steps: int = 1) -> Signal:
        """(n, d) latents → (n, T, D). Above one step latents waver around their value and rows are T/2 to T steps long."""
        n = len(latent)
        z = latent[:, None, :].expand(n, steps, -1)
        mask = torch.ones(n, steps, dtype=torch.bool)
        if steps > 1:
            z = z + 0.5 * torch.randn(z.shape, generator=generator)
            lengths = torch.randint((steps + 1) // 2, steps + 1, (n, 1), generator=generator)
            mask = torch.arange(steps)[None, :] < lengths
        h = z @ self.basis.T
        x = h + self.nonlinearity * torch.tanh(h @ self.rotation.T)
        x = x + self.noise * torch.randn(x.shape, generator=generator)
        return Signal(x * mask[:, :, None], mask)
