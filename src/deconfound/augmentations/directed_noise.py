"""`directed-noise`: training on rows with strong noise along what moves with their environment at a fixed label."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from deconfound.augmentation import LearnedAugmentation
from deconfound.data.dataset import Dataset
from deconfound.data.one_label import one_label_kind
from deconfound.data.signal import Batch, Signal
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import (
    ShiftKind,
    check_environments,
    collect_features,
    directions_note,
    find_directions,
)
from deconfound.nn.directions import RANK, Directions
from deconfound.nn.environments import standard_normal
from deconfound.nn.layers import module_key
from deconfound.nn.standardise import Standardise
from deconfound.search import Search


class DirectedNoise(LearnedAugmentation):
    """x + e (α ε + α_s L ε'), with a random e = 1 … K for each row, in standard deviations of each feature.

    The columns of L are the directions in which the mean over steps of the input moves with the environment at a fixed
    label, see `nn.directions.unstable_directions`; they are found in the training rows before the first epoch. ε is drawn for
    each step, ε' for each row. Where no direction moves beyond chance, ε alone is left. It is the noise of `cmir-e` without
    its constraints. Tokens stay as they are.

    A method that reads the directions off the noise can undo it on the rows that stay clean, so by default none does.
    """

    def __init__(
        self,
        *,
        strength: Annotated[
            float, Field(ge=0, description="α, in standard deviations"), Search(0.03, 1, log=True)
        ] = 0.1,
        directed_strength: Annotated[
            float, Field(ge=0, description="α_s of noise along the directions"), Search(0.5, 10, log=True)
        ] = 4.0,
        environments: Annotated[int, Field(ge=1, le=64, description="K: largest factor of the noise")] = 2,
        movement: ShiftKind = "slopes",
        clean: Annotated[float, Field(ge=0, le=1, description="share of rows that stay clean, drawn anew")] = 0.0,
    ) -> None:
        super().__init__()
        self.strength, self.directed_strength, self.environments = strength, directed_strength, environments
        self.movement: ShiftKind = movement
        self.clean = clean
        self.directions = nn.ModuleDict()

    def prepare(self, backbone: Backbone) -> None:
        one_label_kind(backbone.task, "directed-noise")
        for name, modality in backbone.modalities.items():
            if modality.kind != "tokens":
                self.directions[module_key(name)] = Directions(1, prod(modality.shape))

    def check_rows(self, development: Dataset) -> None:
        """Check that labels can be compared between environments.

        Raises:
            DataError: they cannot.
        """
        check_environments(development)

    def learn(self, epoch: int, development: Dataset, backbone: Backbone, generator: torch.Generator) -> None:
        if epoch == 0:
            rows = collect_features(backbone, development, "inputs")
            find_directions(self._groups(backbone), rows, backbone.task, self.movement, generator)

    def summary_lines(self) -> tuple[str, ...]:
        return (directions_note({name: part.counts[0] for name, part in self._parts().items()}),)

    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        source = {"generator": generator, "device": generator.device}
        chosen = torch.rand(len(batch), **source) >= self.clean
        factor = chosen * (1 + torch.randint(self.environments, (len(batch),), **source))
        parts, signals = self._parts(), {}
        for name in backbone.modalities:
            key = module_key(name)
            if key in parts:
                scale = backbone.scales[key]
                assert isinstance(scale, Standardise)
                signals[name] = self._noisy(batch.signals[name], factor, scale, parts[key], generator)
        return [(1.0, batch.with_signals(signals))]

    def _noisy(
        self, signal: Signal, factor: torch.Tensor, scale: Standardise, along: Directions, generator: torch.Generator
    ) -> Signal:
        values = signal.values
        spread = self.strength * standard_normal(tuple(values.shape), generator, values)
        moved = along(standard_normal((1, len(values), RANK), generator, values))[0]  # (B, prod(F))
        moved = moved.reshape(len(values), 1, *values.shape[2:])
        size = factor.to(values).reshape(-1, *[1] * (values.ndim - 1))
        noisy = values + size * (spread + self.directed_strength * moved) * scale.std
        return Signal(noisy, torch.ones_like(signal.mask)).keep(signal.mask)

    def _parts(self) -> dict[str, Directions]:
        return {key: part for key, part in self.directions.items() if isinstance(part, Directions)}

    def _groups(self, backbone: Backbone) -> list[tuple[Sequence[str], Directions]]:
        parts = self._parts()
        return [([name], parts[module_key(name)]) for name in backbone.modalities if module_key(name) in parts]
