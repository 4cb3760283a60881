"""`mixup`: training on weighted means of two rows and their labels (Zhang et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from scipy.special import betaincinv
from torch import Tensor

from deconfound.augmentation import Augmentation
from deconfound.data.signal import Batch, Signal
from deconfound.nn.backbone import Backbone
from deconfound.search import Search


class Mixup(Augmentation):
    """x = λ x_i + (1 − λ) x_j with the loss λ L(y_i) + (1 − λ) L(y_j); λ ~ Beta(α, α) is drawn once per batch.

    j is a random other order of the rows. Where a step exists in one of the two rows alone, it is taken as it is. λ is the
    larger of the two weights: exchanging i and j gives the same pairs, and each row keeps the environment and the number of
    the row that it is mostly made of. Penalties on predictions take the label of that row.
    """

    takes_tokens = False  # they have no mean

    def __init__(
        self,
        *,
        alpha: Annotated[
            float, Field(gt=0, description="α: small values mix little, 1 evenly"), Search(0.1, 10, log=True)
        ] = 0.2,
    ) -> None:
        self.alpha = alpha

    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        source = {"generator": generator, "device": generator.device}
        uniform = float(torch.rand((), dtype=torch.float64, **source))
        drawn = float(betaincinv(self.alpha, self.alpha, uniform))  # PyTorch's own Beta takes no generator
        share = max(drawn, 1 - drawn)
        order = torch.randperm(len(batch), **source).to(batch.ids.device)
        mixed = batch.with_signals({n: mix_signals(batch.signals[n], order, share) for n in backbone.modalities})
        weight = None if batch.weight is None else batch.weight[order]
        return [(share, mixed), (1 - share, replace(mixed, target=batch.target[order], weight=weight))]


def mix_signals(signal: Signal, order: Tensor, share: float) -> Signal:
    """Each row b with the row order[b]: share · x_b + (1 − share) · x_order[b] where both exist, else the one that does.

    Args:
        signal: (B, T, *F) floats.
        order: (B,) row numbers.
        share: in [0, 1].
    """
    other = signal.select(order)
    ours, theirs = (s.mask.reshape(*s.mask.shape, *[1] * (s.values.ndim - 2)) for s in (signal, other))
    mean = share * signal.values + (1 - share) * other.values
    values = torch.where(ours & theirs, mean, torch.where(ours, signal.values, other.values))
    mask = signal.mask | other.mask
    return Signal(values, torch.ones_like(mask)).keep(mask)
