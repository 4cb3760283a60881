"""The front-door head: an outcome model f(z, x', a) around one predominant modality, and its average over x'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deconfound.nn.fusions.concat import Concat
from deconfound.objectives.front_door import (
    Head,
    conditional,
    dictionary,
    geometric,
    product,
    similarity_weights,
    uniform_weights,
)

Form = Literal["full", "additive"]
Weights = Literal["uniform", "similar"]


class SplitMLP(nn.Module):
    """A two-layer MLP of several inputs side by side that broadcast against each other.

    The first layer is a sum of one projection per input, so that B rows against J draws cost B + J projections and not
    B · J. Initialised as one `nn.Linear` of the joined inputs.
    """

    def __init__(self, widths: Sequence[int], hidden: int, outputs: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(width, hidden, bias=i == 0) for i, width in enumerate(widths)])
        bound = 1 / sqrt(sum(widths))
        for parameter in self.parts.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        self.last = nn.Linear(hidden, outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """(…, width_k) each → (…, outputs), the leading axes broadcast."""
        hidden = self.parts[0](inputs[0])
        for layer, values in zip(self.parts[1:], inputs[1:], strict=True):
            hidden = hidden + layer(values)
        return self.last(F.gelu(hidden))


Features = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Pool:
    """The J draws of one step: {(J, H_m)} features and {(J,)} bool presence."""

    features: Features
    present: Features


@dataclass(frozen=True)
class Averaging:
    """How the average over x' is taken.

    Args:
        weights: of the draws under `mc-cond` and `nwgm`: "uniform", or "similar" to the row's own a.
        temperature: of the similarity.
    """

    head: Head
    weights: Weights
    temperature: float
    classification: bool


class FrontDoor(nn.Module):
    """f around one predominant modality p; a is the features of all others, an absent one replaced by a learned vector.

    Args:
        name: p.
        widths: modality → H_m.
        dim: width of z.
        hidden: width of the hidden layers.
        outputs: of the task.
        form: "full" f(z, x', a), one MLP; "additive" f1(z, a) + f2(x', a).
        plug: f1 is `direct`, and f2 fits its residual; else f1 has its own parameters that learn with f2.
        centres: K of the dictionary, 0 without.
    """

    centres: Tensor
    mass: Tensor

    def __init__(
        self,
        name: str,
        widths: Mapping[str, int],
        dim: int,
        hidden: int,
        outputs: int,
        *,
        form: Form,
        plug: bool,
        centres: int,
    ) -> None:
        super().__init__()
        self.name, self.form, self.plug = name, form, plug
        self.join = Concat({other: width for other, width in widths.items() if other != name}, outputs)
        self.direct = SplitMLP((dim, self.join.width), hidden, outputs)
        if form == "full":
            self.mixed = SplitMLP((dim, widths[name], self.join.width), hidden, outputs)
        else:
            self.first = None if plug else SplitMLP((dim, self.join.width), hidden, outputs)
            self.rest = SplitMLP((widths[name], self.join.width), hidden, outputs)
        if centres:
            self.register_buffer("centres", torch.zeros(centres, widths[name]))
            self.register_buffer("mass", torch.zeros(centres))

    def outcome(self, z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        """f: (…, dim), (…, H_p), (…, A) → (…, outputs) logits or predictions; in plug training f1 is left as it is."""
        if self.form == "full":
            return self.mixed(z, x, a)
        first = self.direct(z, a).detach() if self.first is None else self.first(z, a)
        return first + self.rest(x, a)

    def average(
        self, z: Tensor, features: Features, present: Features, pool: Pool, how: Averaging
    ) -> tuple[Tensor, Tensor]:
        """The average of f over x'.

        Args:
            z: (B, dim) of the predominant modality.
            features, present: {(B, H_m)}, {(B,)} of the rows.

        Returns:
            (B, outputs), and (B,) bool: rows for which it can be formed, those that have the predominant modality, if
            some draw has it.
        """
        xs, valid = pool.features[self.name], pool.present[self.name]
        formed = present[self.name] & valid.any()
        if how.head == "mc-product":
            others = self.join(pool.features, pool.present)
            return product(self.outcome, z, xs, others, uniform_weights(valid), how.classification), formed
        a = self.join(features, present)
        if how.head == "dictionary":
            centres, mass = self._atoms(xs, valid)
            return dictionary(self.outcome, z, a, centres, mass, how.classification), formed
        omega = uniform_weights(valid)
        if how.weights == "similar":
            others = self.join(pool.features, pool.present)
            omega = similarity_weights(a.detach(), others.detach(), valid, how.temperature)
        if how.head == "nwgm":
            return geometric(self.outcome, z, a, xs, omega), formed
        return conditional(self.outcome, z, a, xs, omega, how.classification), formed

    def _atoms(self, xs: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The centres and their mass; the draws themselves until there are centres."""
        ready = bool(self.mass.any())
        return (self.centres, self.mass) if ready else (xs, valid.float())

    @torch.no_grad()
    def summarise(self, features: Tensor, generator: torch.Generator) -> None:
        """Compute the centres from (N, H_p) features of earlier rows; fewer rows than centres leave some without mass."""
        if len(features) == 0:
            return
        centres, mass = k_means(features, len(self.mass), generator)
        self.centres.zero_()
        self.mass.zero_()
        self.centres[: len(centres)] = centres
        self.mass[: len(mass)] = mass


def k_means(points: Tensor, count: int, generator: torch.Generator, rounds: int = 20) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from random distinct points.

    Args:
        points: (N, D), N ≥ 1.
        count: K.
        generator: decides the first centres.

    Returns:
        (K', D) centres and (K',) shares of the points, K' = min(K, N); a centre that loses all its points stays where it
        was, without share.
    """
    order = torch.randperm(len(points), generator=generator, device=generator.device).to(points.device)
    centres = points[order[:count]].clone()
    nearest = torch.cdist(points, centres).argmin(1)
    for _ in range(rounds):
        member = F.one_hot(nearest, len(centres)).to(points.dtype)  # (N, K')
        size = member.sum(0).unsqueeze(1)
        centres = torch.where(size > 0, member.T @ points / size.clamp(min=1), centres)
        moved = torch.cdist(points, centres).argmin(1)
        if torch.equal(moved, nearest):
            break
        nearest = moved
    return centres, torch.bincount(nearest, minlength=len(centres)).to(points.dtype) / len(points)
