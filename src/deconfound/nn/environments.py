"""Virtual environments: noise of a strength that names the environment, on features or on inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from statistics import fmean
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.directions import RANK, Directions
from deconfound.nn.layers import module_key
from deconfound.nn.moments import Moments
from deconfound.nn.standardise import Standardise

NoiseScale = Literal["std", "absolute", "whitened"]
Visits = Annotated[
    Literal["auto", "all", "pair", "one"],
    Field(
        description="environments per row and step: all, a random pair, a random one that is compared with the clean view, "
        "or (auto) all up to K = 3 and else a pair"
    ),
]

WIDEST = 2048
"""Most features with a full covariance, which is factorised in every step."""


@dataclass(frozen=True)
class Environments:
    """K virtual environments; in environment e = 1 … K the noise has e times the first strength.

    Args:
        count: K.
        strength: α1, in units of the noise scale.
        draws: the environments that each row visits per step: "all", two different random ones ("pair"; the mean over
            those pairs is, in expectation, the mean over all), a random "one", or "auto": all up to K = 3 and else a pair.
        clean: the clean row is environment 0 of the comparison; always where a random "one" is compared with it.
        same: one draw of noise for all environments of a row.
    """

    count: int
    strength: float
    draws: Visits = "auto"
    clean: bool = False
    same: bool = False

    @property
    def all_visited(self) -> bool:
        """Whether every row visits every environment."""
        return self.count <= {"all": self.count, "pair": 2 - self.clean, "one": 1, "auto": 3}[self.draws]

    @property
    def with_clean(self) -> bool:
        """Whether the clean view is compared beside the drawn ones; a drawn pair holds it itself, as strength 0."""
        return self.draws == "one" or (self.clean and self.all_visited)

    def draw(self, rows: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """(V, B) noise strengths of the views of each row: V = K, or up to 2 for "pair" and 1 for "one"."""
        if self.all_visited:
            strengths = self.strength * torch.arange(1, self.count + 1, device=device)
            return strengths.unsqueeze(1).expand(-1, rows)
        source = {"generator": generator, "device": generator.device}
        if self.draws == "one":
            return self.strength * (torch.randint(self.count, (1, rows), **source) + 1).to(device)
        least = 0 if self.clean else 1
        kinds = self.count + 1 - least
        first = torch.randint(kinds, (rows,), **source)
        second = (first + torch.randint(1, kinds, (rows,), **source)) % kinds
        return self.strength * (torch.stack([first, second]) + least).to(device)

    def mean_gap(self, power: int) -> float:
        """Mean over the compared pairs of E|difference of their noises|^power, as a multiple of that of one draw at α1.

        A distance between linear maps of the views grows with K by this factor alone: independent draws of environments i
        and j differ by noise of strength √(i² + j²) α1, scaled copies of one draw by |i − j| α1. 1 without a pair.

        Args:
            power: 1 for distances that grow as the difference, 2 for those that grow as its square.
        """
        numbers = range(0 if self.clean or self.draws == "one" else 1, self.count + 1)
        pairs = [(0, e) for e in numbers[1:]] if self.draws == "one" else list(combinations(numbers, 2))
        squares = [float((i - j) ** 2 if self.same else i**2 + j**2) for i, j in pairs]
        return fmean(square ** (power / 2) for square in squares) if squares else 1.0


def standard_normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """N(0, 1) of a shape, drawn where the generator lives, moved to the device and type of `like`."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def noise_moments(scale: NoiseScale, groups: int, width: int) -> Moments | None:
    """Running moments of G sets of D features, to scale their noise; None for "absolute".

    Raises:
        SpecError: a covariance of more than 2048 features.
    """
    if scale == "whitened" and width > WIDEST:
        raise SpecError(f"noise_scale = 'whitened' takes up to {WIDEST} features; got {width}: use 'std'")
    return None if scale == "absolute" else Moments(groups, width, full=scale == "whitened")


@dataclass(frozen=True, eq=False)
class StructuredNoise:
    """Noise in all directions, made weaker, plus noise along some (SDN, methods 2.6).

    Args:
        directions: in the units of the features.
        isotropic: factor α of the noise in all directions.
        strength: factor α_s of the noise along the directions.
    """

    directions: Directions
    isotropic: float
    strength: float

    def add(self, noise: Tensor, generator: torch.Generator) -> Tensor:
        """(G, N, D) noise in all directions → the sum of both."""
        groups, rows, _ = noise.shape
        drawn = self.directions(standard_normal((groups, rows, RANK), generator, noise))
        return self.isotropic * noise + self.strength * drawn


def noisy_views(
    values: Tensor,
    strengths: Tensor,
    moments: Moments | None,
    generator: torch.Generator,
    along: StructuredNoise | None = None,
    same: bool = False,
) -> Tensor:
    """The values themselves, then one noisy copy per environment.

    Args:
        values: (G, B, D).
        strengths: (V, B).
        moments: of the values; None for noise in their own units.
        along: directions in which there is further noise.
        same: one draw of noise for all environments of a row.

    Returns:
        (G, (1 + V)·B, D), the clean rows first.
    """
    groups, rows, width = values.shape
    noise = standard_normal((groups, (1 if same else len(strengths)) * rows, width), generator, values)
    noise = noise if moments is None else moments.scale(noise)
    if along is not None:
        noise = along.add(noise, generator)
    if same:
        noise = noise.repeat(1, len(strengths), 1)
    noise = noise * strengths.to(values.dtype).reshape(-1, 1)
    views = values.unsqueeze(1) + noise.unflatten(1, strengths.shape)  # (G, V, B, D)
    return torch.cat([values, views.flatten(1, 2)], dim=1)


class RawNoise(nn.Module):
    """Noisy copies of standardised inputs, each feature of each existing step.

    "std" and "whitened" follow the spread of the standardised input over the steps seen in training; "absolute" is in
    the units of the data.

    Structured noise follows the means over the steps of a row, so it moves all steps of a row together. It leaves tokens
    as they are; noise in all directions alone refuses them.

    Args:
        along: (α, α_s) of structured noise; None for noise in all directions alone.
        same: one draw of noise in all directions for all environments of a row.

    Raises:
        SpecError: tokens, which take no noise, where there is no structured noise for other modalities; "whitened" on a
            modality of more than 2048 features.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        scale: NoiseScale,
        along: tuple[float, float] | None = None,
        same: bool = False,
    ) -> None:
        super().__init__()
        self.along, self.same = along, same
        sizes = {name: prod(modality.shape) for name, modality in modalities.items() if modality.kind != "tokens"}
        tokens = [name for name in modalities if name not in sizes]
        if tokens and not (along and sizes):
            raise SpecError(
                f"noise_at = 'raw' cannot add noise to the tokens of {tokens[0]}; use noise_at = 'features'"
            )
        self.names = tuple(sizes)
        directed = self.names if along else ()
        self.directions = nn.ModuleDict({module_key(name): Directions(1, sizes[name]) for name in directed})
        moments = {name: noise_moments(scale, 1, size) for name, size in sizes.items()}
        self.moments = nn.ModuleDict({module_key(n): m for n, m in moments.items() if m is not None})

    def forward(
        self,
        signals: Mapping[str, Signal],
        strengths: Tensor,
        generator: torch.Generator,
        scales: nn.ModuleDict,
        weight: float = 1.0,
    ) -> dict[str, Signal]:
        """Signals of B rows and (V, B) strengths → signals of (1 + V)·B rows, the clean ones first.

        In training mode the signals count in the moments by `weight`, as in `Moments.update`.
        """
        copies, views = 1 + len(strengths), {}
        for name, signal in signals.items():
            if name in self.names:
                views[name] = self._views(name, signal, strengths, generator, scales, weight)
            else:
                views[name] = Signal(signal.values.repeat(copies, 1), signal.mask.repeat(copies, 1))
        return views

    def _views(
        self,
        name: str,
        signal: Signal,
        strengths: Tensor,
        generator: torch.Generator,
        scales: nn.ModuleDict,
        weight: float,
    ) -> Signal:
        key, mask = module_key(name), signal.mask
        steps = signal.values.flatten(2).flatten(0, 1).unsqueeze(0)  # (1, B·T, D)
        moments = dict(self.moments.items()).get(key)
        isotropic = strengths if self.along is None else self.along[0] * strengths
        per_step = isotropic.repeat_interleave(mask.shape[1], dim=1)  # (V, B·T)
        if isinstance(moments, Moments):
            if self.training:
                moments.update(steps, mask.reshape(1, -1), weight)
            views = noisy_views(steps, per_step, moments, generator, same=self.same)
        else:
            scale = scales[key]
            assert isinstance(scale, Standardise)
            unit = scale.std.expand(signal.values.shape[2:]).flatten()
            views = noisy_views(steps * unit, per_step, None, generator, same=self.same) / unit
        if self.along is not None:
            views = self._moved(views, key, strengths, mask.shape[1], generator)
        views = views.reshape((1 + len(strengths)) * len(signal), *signal.values.shape[1:])
        mask = mask.repeat(1 + len(strengths), 1)
        return Signal(views, torch.ones_like(mask)).keep(mask)

    def directed(self) -> list[tuple[str, Directions]]:
        """The modalities that have directions, with these; none without structured noise."""
        by_key = dict(self.directions.items())
        named = [(name, by_key[module_key(name)]) for name in self.names if module_key(name) in by_key]
        return [(name, directions) for name, directions in named if isinstance(directions, Directions)]

    def _moved(self, views: Tensor, key: str, strengths: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """(1, (1 + V)·B·T, D) views, the clean ones first → the same with noise along the directions in the others."""
        assert self.along is not None
        drawn = self.directions[key](standard_normal((1, strengths.numel(), RANK), generator, views))  # (1, V·B, D)
        drawn = (self.along[1] * strengths.to(views.dtype).reshape(1, -1, 1) * drawn).repeat_interleave(steps, dim=1)
        clean = views.shape[1] - drawn.shape[1]
        return torch.cat([views[:, :clean], views[:, clean:] + drawn], dim=1)
