"""`Method`: a model with its loss. It knows nothing of optimisers, files, devices or the training engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.nn.backbone import Backbone


@dataclass(frozen=True, eq=False)
class Loss:
    """What one batch costs.

    Args:
        total: () the sum that is minimised, weights applied.
        terms: name → () each term before its weight.
        risks: (B,) per-row risk of the prediction, for environment penalties and group reports.
        features: modality → (B, D) the representations that predict, 0 where the modality is absent, for penalties.
        output: (B, outputs) predictions or logits of the rows, of the first view where a method predicts several.
        monitors: name → () quantities to log that are not minimised.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    risks: Tensor
    features: Mapping[str, Tensor]
    output: Tensor
    monitors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


@dataclass(frozen=True, eq=False)
class Representations:
    """What a method makes of each modality, for diagnostics.

    Args:
        predictive: modality → (B, D) what the prediction is made from; the invariant part of a method that splits.
        spurious: modality → (B, D) the part that is kept from predicting; empty for methods that do not split.
    """

    predictive: Mapping[str, Tensor]
    spurious: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Method(nn.Module, ABC):
    """Base of all methods. A subclass takes a `Backbone` first and its hyper-parameters as keyword-only arguments.

    Hyper-parameters are annotated `Annotated[float, Field(ge=0, description="..."), Search(0.01, 10, log=True)]`; that one
    annotation validates specifications, fills `deconfound show NAME` and gives a tuner its range.
    """

    needs_environments: ClassVar[bool] = False
    """Whether batches must hold rows of several environments, as the data declare them."""

    backbone: Backbone
    """Its `widths` are those of `Loss.features`."""

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

    def variants(self, batch: Batch) -> Mapping[str, Tensor]:
        """Name → (B, outputs): other predictions of the same model, under the laws of `forward`.

        An evaluation keeps and measures them beside the prediction, as the method "METHOD [NAME]".
        """
        return {}

    def representations(self, batch: Batch) -> Representations:
        """What the prediction is made from; methods that split the features return both parts."""
        return Representations(self.backbone.encode(batch))

    def reconstruct(self, parts: Representations) -> Mapping[str, Tensor] | None:
        """Modality → (B, H) features that both parts stand for together, in standard deviations; None without a decoder."""
        return None

    def check(self, development: Dataset) -> None:
        """Called once before anything is written.

        Raises:
            DataError: this method cannot be trained on these rows.
        """

    def on_epoch_start(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        """Called before each epoch, for what follows from many rows at once. What it keeps belongs in buffers.

        Args:
            epoch: from 0.
            development: training and validation rows, on the CPU; test rows are not in it.
            generator: the only source of randomness.
        """

    def on_validation_start(self, development: Dataset) -> None:
        """Called before the validation rows are predicted at the end of an epoch, in eval mode and without gradients.

        For what is decided on these rows, such as which of several predictions to give. It belongs in buffers.
        """

    def summary_lines(self) -> tuple[str, ...]:
        """Sentences about what the method found in the data and decided by itself; kept with the run and printed."""
        return ()

    def after_backward(self, generator: torch.Generator) -> None:
        """Called when the gradients of a step are there, before they are clipped; may change them."""
