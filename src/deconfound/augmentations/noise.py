"""`noise`: training on noisy rows, the control that every claim of robustness to noise must beat."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from deconfound.augmentation import Augmentation
from deconfound.data.signal import Batch, Signal
from deconfound.nn.backbone import Backbone
from deconfound.nn.environments import standard_normal
from deconfound.nn.layers import module_key
from deconfound.nn.standardise import Standardise
from deconfound.search import Search


class Noise(Augmentation):
    """x + α ε on every existing step, ε standard normal, α in standard deviations of each feature of the training rows.

    Tokens stay as they are.
    """

    def __init__(
        self,
        *,
        strength: Annotated[
            float, Field(ge=0, description="α, in standard deviations"), Search(0.03, 1, log=True)
        ] = 0.3,
        clean: Annotated[float, Field(ge=0, le=1, description="share of rows that stay clean, drawn anew")] = 0.5,
    ) -> None:
        self.strength, self.clean = strength, clean

    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        source = {"generator": generator, "device": generator.device}
        chosen = (torch.rand(len(batch), **source) >= self.clean).to(batch.ids.device)
        signals = {}
        for name, modality in backbone.modalities.items():
            signal = batch.signals[name]
            if modality.kind == "tokens":
                continue
            scale = backbone.scales[module_key(name)]
            assert isinstance(scale, Standardise)
            drawn = standard_normal(tuple(signal.values.shape), generator, signal.values)
            share = chosen.to(drawn.dtype).reshape(-1, *[1] * (drawn.ndim - 1))
            noisy = signal.values + self.strength * share * drawn * scale.std
            signals[name] = Signal(noisy, torch.ones_like(signal.mask)).keep(signal.mask)
        return [(1.0, batch.with_signals(signals))]
