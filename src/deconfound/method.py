"""`Method`: a model with its loss. It knows nothing of optimisers, files, devices or the training engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from deconfound.backbone import Backbone
from deconfound.signal import Batch


@dataclass(frozen=True, eq=False)
class Loss:
    """What one batch costs.

    Args:
        total: () the sum that is minimised, weights applied.
        terms: name → () each term before its weight.
        risks: (B,) per-row risk of the prediction, for environment penalties and group reports.
        features: name → (B, D) the representations that predict, for penalties on representations.
        monitors: name → () quantities to log that are not minimised.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    risks: Tensor
    features: Mapping[str, Tensor]
    monitors: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """Base of all methods. A subclass takes a `Backbone` first and its hyper-parameters as keyword-only arguments.

    Hyper-parameters are annotated `Annotated[float, Field(ge=0, description="..."), Search(0.01, 10, log=True)]`; that one
    annotation validates specifications, fills `deconfound show NAME` and gives a tuner its range.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """(B, outputs) predictions or logits; deterministic in eval mode, each row by itself, any modality may be absent."""

    @abstractmethod
    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """The loss of one training batch.

        Args:
            progress: share of all training steps done, in [0, 1); for warm-ups.
            generator: the only source of randomness beside dropout.
        """
