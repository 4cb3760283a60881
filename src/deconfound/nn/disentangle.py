"""Splitters of features into an invariant and a spurious part; modalities of one width share their operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.nn.directions import Directions
from deconfound.nn.environments import NoiseScale, StructuredNoise, noise_moments, noisy_views
from deconfound.nn.moments import Moments
from deconfound.nn.stacked import Activation, StackedLayers, StackedLinear
from deconfound.objectives.reconstruction import Reduction, reconstruction
from deconfound.search import Search

NoiseSite = Literal["features", "raw", "hidden"]
SplitterSize = Literal["paper", "small"]
Dim = Annotated[int, Field(ge=1, le=65_536, description="width of each part, per modality"), Search(4, 64, log=True)]
Hidden = Annotated[int, Field(ge=1, le=65_536, description="width of the hidden layers of splitter, decoder and CLUB")]


@dataclass(frozen=True)
class Splitting:
    """What a splitter is and what it rebuilds.

    Args:
        size: as `Disentangler`.
        noise_at: "features" adds noise to what enters g_m, "hidden" before its two outputs, "raw" not here.
        noise_scale: as `nn.environments.noise_moments`.
        same_noise: one draw of noise for all views of a row, scaled by their strengths.
        denoise: rebuild the clean features from the noisy views instead of the clean one.
        standardised: rebuild the features as running moments standardise them, detached: an encoder could otherwise lower
            the error by shrinking its features. The paper rebuilds the features themselves.
        reduction: of the reconstruction error.
        along: (α, α_s) of structured noise on the features; None for noise in all directions alone.
    """

    size: SplitterSize = "paper"
    noise_at: NoiseSite = "features"
    noise_scale: NoiseScale = "absolute"
    same_noise: bool = False
    denoise: bool = False
    standardised: bool = False
    reduction: Reduction = "mean"
    along: tuple[float, float] | None = None


class Disentangler(nn.Module):
    """g_m and r_m of G modalities whose features have one width H.

    "paper": g_m is H → hidden → hidden with ReLU after each, then a linear output of width `dim` for either part; r_m is
    2·dim → hidden → hidden → H, ReLU between. "small" has one hidden layer less in both, and GELU.

    The parts are outputs of their own, so that the spurious part and the decoder cost nothing where only the invariant part
    is wanted.
    """

    def __init__(self, groups: int, inputs: int, dim: int, hidden: int, size: SplitterSize) -> None:
        super().__init__()
        inner = [hidden] * (2 if size == "paper" else 1)
        activation: Activation = "relu" if size == "paper" else "gelu"
        self.trunk = StackedLayers(groups, [inputs, *inner], activation)
        self.invariant = StackedLinear(groups, hidden, dim)
        self.spurious = StackedLinear(groups, hidden, dim)
        self.decoder = StackedLayers(groups, [2 * dim, *inner], activation)
        self.rebuilt = StackedLinear(groups, hidden, inputs)

    def decode(self, invariant: Tensor, spurious: Tensor) -> Tensor:
        """r_m: (G, N, dim), (G, N, dim) → (G, N, H)."""
        return self.rebuilt(self.decoder(torch.cat([invariant, spurious], dim=2)))


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of G modalities in training.

    Args:
        names: of the G modalities.
        invariant: (G, 1 + V, B, dim), the clean view first.
        spurious: (G, B, dim), clean.
        error: (G,) reconstruction error.
        present: (G, B) bool.
    """

    names: tuple[str, ...]
    invariant: Tensor
    spurious: Tensor
    error: Tensor
    present: Tensor


class DisentanglerGroup(nn.Module):
    """The splitter of the modalities whose features have one width, with what it keeps of these features.

    Args:
        names: of the G modalities.
        inputs: H, the width of their features.
    """

    def __init__(self, names: Sequence[str], inputs: int, dim: int, hidden: int, splitting: Splitting) -> None:
        super().__init__()
        self.names, self.options = tuple(names), splitting
        self.split = Disentangler(len(names), inputs, dim, hidden, splitting.size)
        scale, at = splitting.noise_scale, splitting.noise_at
        at_features = noise_moments(scale, len(names), inputs) if at == "features" else None
        target = Moments(len(names), inputs) if splitting.standardised and at_features is None else at_features
        self.seen = target
        self.scales_noise = at_features is not None
        self.seen_hidden = noise_moments(scale, len(names), hidden) if at == "hidden" else None
        along = splitting.along
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
        """{(B, dim)} parts → (G, B, H) features, as running moments standardise them where these are rebuilt."""
        return self.split.decode(self.stack(invariant), self.stack(spurious))

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
        rows, stacked, options = present.shape[1], self.stack(features), self.options
        clean = stacked[:, :rows]
        if self.training and self.seen is not None:
            self.seen.update(clean, present, weight)
        if options.noise_at == "features" and len(strengths):
            moments = self.seen if self.scales_noise else None
            stacked = noisy_views(stacked, strengths, moments, generator, self.along, options.same_noise)
        hidden = self.split.trunk(stacked)
        if options.noise_at == "hidden" and len(strengths):
            if self.training and self.seen_hidden is not None:
                self.seen_hidden.update(hidden, present, weight)
            hidden = noisy_views(hidden, strengths, self.seen_hidden, generator, same=options.same_noise)
        invariant = self.split.invariant(hidden)
        spurious = self.split.spurious(hidden if options.denoise else hidden[:, :rows])
        error = self._error(invariant, spurious, self._target(clean), present)
        return Parts(self.names, invariant.unflatten(1, (-1, rows)), spurious[:, :rows], error, present)

    def _target(self, clean: Tensor) -> Tensor:
        if not self.options.standardised:
            return clean
        assert self.seen is not None
        return self.seen.standardise(clean.detach())

    def _error(self, invariant: Tensor, spurious: Tensor, target: Tensor, present: Tensor) -> Tensor:
        rows, reduction = present.shape[1], self.options.reduction
        if not self.options.denoise:
            return reconstruction(self.split.decode(invariant[:, :rows], spurious), target, present, reduction)
        decoded = self.split.decode(invariant[:, rows:], spurious[:, rows:])
        views = decoded.shape[1] // rows
        return reconstruction(decoded, target.repeat(1, views, 1), present.repeat(1, views), reduction)


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
        present: Mapping[str, Tensor],
        strengths: Tensor,
        generator: torch.Generator,
        weight: float = 1.0,
    ) -> list[Parts]:
        """As `DisentanglerGroup.forward`, of every group; `present` is {(B,)} bool."""
        return [
            group(features, torch.stack([present[name] for name in group.names]), strengths, generator, weight)
            for group in self.members()
        ]

    def both(self, features: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """{(B, H)} features → {(B, dim)} invariant and {(B, dim)} spurious parts."""
        parts = [group.both(features) for group in self.members()]
        return self._named(part[0] for part in parts), self._named(part[1] for part in parts)

    def rebuilt(self, invariant: Mapping[str, Tensor], spurious: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{(B, dim)} parts → {(B, H)} features, as `DisentanglerGroup.rebuilt`."""
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
