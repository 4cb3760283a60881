"""`Penalty`: a term over environments that joins the loss of any method on any backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone

Ramp = Annotated[float, Field(ge=0, le=1, description="share of the steps over which the weight grows from 0")]


def warm_up(progress: float, ramp: float) -> float:
    """Share in [0, 1] of its weight that a term has at this share of the steps; it grows linearly over the ramp."""
    return min(1.0, progress / ramp) if ramp > 0 else 1.0


class Penalty(nn.Module, ABC):
    """Base of all penalties. A subclass takes the method's backbone and E first and its arguments as keywords.

    What is added to the loss is `weight` times what `forward` returns; the weight grows linearly over the first `ramp`
    of the steps.

    Args:
        backbone: of the method that it joins; `widths` are those of `Loss.features`.
        environments: E, the number of environments of the training and validation rows.
        weight: λ.
        ramp: share of all steps in [0, 1].
    """

    def __init__(self, backbone: Backbone, environments: int, *, weight: float, ramp: float) -> None:
        super().__init__()
        self.task, self.widths, self.environments = backbone.task, dict(backbone.widths), environments
        self.weight, self.ramp = weight, ramp

    @abstractmethod
    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        """() the penalty before its weight, of a batch with rows of two environments or more."""

    def side_by_side(self, loss: Loss, batch: Batch) -> tuple[Tensor, Tensor]:
        """The features of all modalities of `batch`, ΣD wide, in the order of `widths`.

        Returns:
            (B, ΣD), 0 where the modality is absent; and (B, ΣD) bool: where it is present.
        """
        here = [batch.present[name].unsqueeze(1).expand(-1, width) for name, width in self.widths.items()]
        values, present = torch.cat([loss.features[name] for name in self.widths], 1), torch.cat(here, 1)
        return values.masked_fill(~present, 0), present

    def current_weight(self, progress: float) -> float:
        """The weight at this share of the steps."""
        return self.weight * warm_up(progress, self.ramp)

    def __call__(self, loss: Loss, batch: Batch) -> Tensor:
        return super().__call__(loss, batch)


def make_penalties(given: Mapping[str, Mapping[str, Any]], backbone: Backbone, environments: int) -> dict[str, Penalty]:
    """Name → penalty with these arguments.

    Raises:
        SpecError: an unknown name or argument.
    """
    from deconfound.registry import build

    return {name: build("penalties", name, backbone, environments, **knobs) for name, knobs in given.items()}


def several_environments(env: Tensor) -> bool:
    """Whether the (B,) environment numbers name two or more; waits for the device."""
    return bool(torch.any(env != env[:1]))
