"""Splitters of features into an invariant and a spurious part; modalities of one width share their operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deconfound.nn.directions import Directions
from deconfound.nn.environments import NoiseScale, StructuredNoise, noise_moments, noisy_views
from deconfound.nn.moments import Moments
from deconfound.objectives.reconstruction import reconstruction
from deconfound.search import Search

NoiseSite = Literal["features", "raw", "hidden"]
Dim = Annotated[int, Field(ge=1, le=65_536, description="width of each part, per modality"), Search(4, 64, log=True)]
Hidden = Annotated[int, Field(ge=1, le=65_536, description="width of the hidden layer of splitter, decoder and CLUB")]


class StackedLinear(nn.Module):
    """G linear layers of one size side by side: (G, N, inputs) → (G, N, outputs). Initialised as `nn.Linear`."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, values, self.weight)


class Trunk(nn.Module):
    """The first layer of g_m, which both parts share: (G, N, H) → (G, N, hidden)."""

    def __init__(self, groups: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layer = StackedLinear(groups, inputs, hidden)

    def forward(self, features: Tensor) -> Tensor:
        return F.gelu(self.layer(features))


class Decoder(nn.Module):
    """r_m, a two-layer MLP from both parts back to the features: (G, N, dim), (G, N, dim) → (G, N, H)."""

    def __init__(self, groups: int, dim: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = StackedLinear(groups, 2 * dim, hidden)
        self.second = StackedLinear(groups, hidden, outputs)

    def forward(self, invariant: Tensor, spurious: Tensor) -> Tensor:
        return self.second(F.gelu(self.first(torch.cat([invariant, spurious], dim=2))))


class Disentangler(nn.Module):
    """g_m and r_m of G modalities whose features have one width H.

    g_m is a two-layer MLP whose second layer has two outputs, `invariant` and `spurious`, so that the spurious part and
    the decoder cost nothing where only the invariant part is wanted.
    """

    def __init__(self, groups: int, inputs: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.trunk = Trunk(groups, inputs, hidden)
        self.invariant = StackedLinear(groups, hidden, dim)
        self.spurious = StackedLinear(groups, hidden, dim)
        self.decoder = Decoder(groups, dim, hidden, inputs)


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of G modalities in training.

    Args:
        invariant: (G, 1 + V, B, dim), the clean view first.
        spurious: (G, B, dim), clean.
        error: (G,) reconstruction error.
    """

    invariant: Tensor
    spurious: Tensor
    error: Tensor


class DisentanglerGroup(nn.Module):
    """The splitter of the modalities whose features have one width, with the running moments of these features.

    The features are reconstructed as running moments standardise them, and the target is detached: otherwise an encoder
    could lower the error by shrinking its features.

    Args:
        names: of the G modalities.
        inputs: H, the width of their features.
        noise_at: "features" adds noise to what enters g_m, "hidden" after its first layer, "raw" not here.
        noise_scale: as `nn.environments.noise_moments`.
        denoise: rebuild the clean features from the noisy views instead of the clean one.
        along: (α, α_s) of structured noise on the features; None for noise in all directions alone.
    """

    def __init__(
        self,
        names: Sequence[str],
        inputs: int,
        dim: int,
        hidden: int,
        *,
        noise_at: NoiseSite,
        noise_scale: NoiseScale,
        denoise: bool,
        along: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.names, self.noise_at, self.denoise = tuple(names), noise_at, denoise
        self.split = Disentangler(len(names), inputs, dim, hidden)
        at_features = noise_moments(noise_scale, len(names), inputs) if noise_at == "features" else None
        self.seen = at_features or Moments(len(names), inputs)
        self.absolute = noise_scale == "absolute"
        self.seen_hidden = noise_moments(noise_scale, len(names), hidden) if noise_at == "hidden" else None
        self.directions = Directions(len(names), inputs) if along else None
        self.along = StructuredNoise(self.directions, *along) if self.directions is not None and along else None

    def stack(self, features: Mapping[str, Tensor]) -> Tensor:
        """{(N, H)} → (G, N, H)."""
        return torch.stack([features[name] for name in self.names])

    def invariant(self, features: Mapping[str, Tensor]) -> Tensor:
        """{(B, H)} features → (G, B, dim) invariant parts, and nothing else is computed."""
        return self.split.invariant(self.split.trunk(self.stack(features)))

    def both(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """{(B, H)} features → (G, B, dim) invariant and (G, B, dim) spurious parts."""
        hidden = self.split.trunk(self.stack(features))
        return self.split.invariant(hidden), self.split.spurious(hidden)

    def rebuilt(self, invariant: Mapping[str, Tensor], spurious: Mapping[str, Tensor]) -> Tensor:
        """{(B, dim)} parts → (G, B, H) features as running moments standardise them."""
        return self.split.decoder(self.stack(invariant), self.stack(spurious))

    def forward(
        self,
        features: Mapping[str, Tensor],
        present: Tensor,
        strengths: Tensor,
        generator: torch.Generator,
        weight: float = 1.0,
    ) -> Parts:
        """Split the clean and the noisy views of one batch.

        Args:
            features: {(B, H)}, or {((1 + V)·B, H)} with the clean rows first where noise entered the raw input.
            present: (G, B) bool.
            strengths: (V, B); V may be 0.
            weight: of the batch in the running moments, as in `Moments.update`.
        """
        rows, stacked = present.shape[1], self.stack(features)
        clean = stacked[:, :rows]
        if self.training:
            self.seen.update(clean, present, weight)
        if self.noise_at == "features" and len(strengths):
            stacked = noisy_views(stacked, strengths, None if self.absolute else self.seen, generator, self.along)
        hidden = self.split.trunk(stacked)
        if self.noise_at == "hidden" and len(strengths):
            if self.training and self.seen_hidden is not None:
                self.seen_hidden.update(hidden, present, weight)
            hidden = noisy_views(hidden, strengths, self.seen_hidden, generator)
        invariant = self.split.invariant(hidden)
        spurious = self.split.spurious(hidden if self.denoise else hidden[:, :rows])
        target = self.seen.standardise(clean.detach())
        error = self._error(invariant, spurious, target, present)
        return Parts(invariant.unflatten(1, (-1, rows)), spurious[:, :rows], error)

    def _error(self, invariant: Tensor, spurious: Tensor, target: Tensor, present: Tensor) -> Tensor:
        rows = present.shape[1]
        if not self.denoise:
            return reconstruction(self.split.decoder(invariant[:, :rows], spurious), target, present)
        decoded = self.split.decoder(invariant[:, rows:], spurious[:, rows:])
        views = decoded.shape[1] // rows
        return reconstruction(decoded, target.repeat(1, views, 1), present.repeat(1, views))


class Invariant(nn.Module):
    """The splitters of all modalities: {(B, H)} features → {(B, dim)} invariant parts, and nothing else is computed.

    Args:
        groups: one for each width.
    """

    def __init__(self, groups: Sequence[DisentanglerGroup]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(groups)
        self.names = tuple(name for group in groups for name in group.names)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._named(group.invariant(features) for group in self.members())

    def members(self) -> list[DisentanglerGroup]:
        """The groups, with their type."""
        return [group for group in self.groups if isinstance(group, DisentanglerGroup)]

    def views(
        self,
        features: Mapping[str, Tensor],
        present: Tensor,
        strengths: Tensor,
        generator: torch.Generator,
        weight: float = 1.0,
    ) -> Parts:
        """As `DisentanglerGroup.forward`, of all M modalities in the order of `names`."""
        shares = present.split([len(group.names) for group in self.members()])
        parts = [
            group(features, share, strengths, generator, weight)
            for group, share in zip(self.members(), shares, strict=True)
        ]
        invariant, spurious = (
            torch.cat([part.invariant for part in parts]),
            torch.cat([part.spurious for part in parts]),
        )
        return Parts(invariant, spurious, torch.cat([part.error for part in parts]))

    def both(self, features: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """{(B, H)} features → {(B, dim)} invariant and {(B, dim)} spurious parts."""
        parts = [group.both(features) for group in self.members()]
        return self._named(part[0] for part in parts), self._named(part[1] for part in parts)

    def rebuilt(self, invariant: Mapping[str, Tensor], spurious: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{(B, dim)} parts → {(B, H)} features as running moments standardise them."""
        return self._named(group.rebuilt(invariant, spurious) for group in self.members())

    def directions(self) -> list[tuple[Sequence[str], Directions]]:
        """The directions of structured noise with their modalities; none without such noise."""
        return [(group.names, group.directions) for group in self.members() if group.directions is not None]

    def _named(self, stacked: Iterable[Tensor]) -> dict[str, Tensor]:
        """The rows of (G, ...) tensors, one of each group, by modality."""
        return dict(zip(self.names, (values for part in stacked for values in part), strict=True))


def by_width(widths: Mapping[str, int]) -> dict[int, list[str]]:
    """Width → the modalities of that width, in the order of their first."""
    groups: dict[int, list[str]] = {}
    for name, width in widths.items():
        groups.setdefault(width, []).append(name)
    return groups
