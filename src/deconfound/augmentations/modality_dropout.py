"""`modality-dropout`: training on rows that lack modalities, so that the method learns to do without each of them."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from deconfound.augmentation import Augmentation
from deconfound.data.signal import Batch
from deconfound.nn.backbone import Backbone
from deconfound.search import Search


class ModalityDropout(Augmentation):
    """Each modality of each row is left out with the same probability, each by itself.

    A row that would lose all that it has keeps one of them, each as likely as the others.
    """

    def __init__(
        self,
        *,
        share: Annotated[
            float, Field(ge=0, le=1, description="probability that a modality of a row is left out"), Search(0.1, 0.7)
        ] = 0.3,
    ) -> None:
        self.share = share

    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        names = list(backbone.modalities)
        present = torch.stack([batch.signals[name].present for name in names])  # (M, B)
        source = {"generator": generator, "device": generator.device}
        drawn, rank = torch.rand(2, *present.shape, **source).to(present.device)
        kept = present & (drawn >= self.share)
        last = rank.masked_fill(~present, -1).argmax(0) == torch.arange(len(names), device=present.device).unsqueeze(1)
        kept = kept | (present & last & ~kept.any(0))
        signals = {name: batch.signals[name].keep(own.unsqueeze(1)) for name, own in zip(names, kept, strict=True)}
        return [(1.0, batch.with_signals(signals))]
