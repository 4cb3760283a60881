"""`Penalty`: a term over environments that joins the loss of any method on any backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.method import Loss, refuse_labels
from deconfound.nn.backbone import Backbone

Ramp = Annotated[float, Field(ge=0, le=1, description="share of the steps over which the weight grows from 0")]


def warm_up(progress: float, ramp: float) -> float:
    """Factor in [0, 1] of a term's weight at this share of the steps; it grows linearly over the ramp."""
    return min(1.0, progress / ramp) if ramp > 0 else 1.0


class Penalty(nn.Module, ABC):
    """Base of all penalties. A subclass takes the method's backbone and E first and its arguments as keywords.

    The loss grows by `weight` times the value of `forward`; the weight grows linearly over the first `ramp` of the steps. A
    batch may hold some of the environments only, each as likely as the others; `trained` says which there are.

    Args:
        backbone: that of the method; its `widths` are those of `Loss.features`.
        environments: E, the number of environments of the training and validation rows.
        weight: λ.
        ramp: share of all steps in [0, 1].

    Attributes:
        trained: (E,) bool, whether an environment has training rows; all have until `see_environments` is called.
    """

    compares_environments: ClassVar[bool] = True
    """Whether it needs rows of two environments or more; one that does not joins every batch."""

    trained: Tensor
    one_label: ClassVar[bool] = False
    """Whether the penalty is defined for one number or class per row alone, so that it refuses several labels a row."""

    def __init__(self, backbone: Backbone, environments: int, *, weight: float, ramp: float) -> None:
        super().__init__()
        refuse_labels(type(self), backbone, one_label=self.one_label)
        self.task, self.widths, self.environments = backbone.task, dict(backbone.widths), environments
        self.weight, self.ramp = weight, ramp
        self.register_buffer("trained", torch.ones(environments, dtype=torch.bool), persistent=False)

    @final
    def see_environments(self, env: Tensor) -> None:
        """Take in the (N,) environment numbers of the training rows; called before each epoch."""
        trained = torch.zeros(max(self.environments, int(env.max()) + 1), dtype=torch.bool)
        trained[env.cpu()] = True
        self.trained = trained.to(self.trained.device)

    @abstractmethod
    def forward(self, loss: Loss, batch: Batch) -> Tensor:
        """() the penalty before its weight; a batch has rows of two environments or more if it compares them."""

    def side_by_side(self, loss: Loss, batch: Batch) -> tuple[Tensor, Tensor]:
        """The features of all modalities side by side, in the order of `widths`.

        Returns:
            (B, ΣD) features, 0 where the modality is absent; and (B, ΣD) bool, True where it is present.
        """
        presence = [batch.present[name].unsqueeze(1).expand(-1, width) for name, width in self.widths.items()]
        values, present = torch.cat([loss.features[name] for name in self.widths], 1), torch.cat(presence, 1)
        return values.masked_fill(~present, 0), present

    def current_weight(self, progress: float) -> float:
        """The weight at this share of the steps."""
        return self.weight * warm_up(progress, self.ramp)

    def __call__(self, loss: Loss, batch: Batch) -> Tensor:
        return super().__call__(loss, batch)


def make_penalties(
    tables: Mapping[str, Mapping[str, Any]], backbone: Backbone, environments: int
) -> dict[str, Penalty]:
    """Name → penalty.

    Args:
        tables: name → arguments.
        backbone, environments: as for `Penalty`.

    Raises:
        SpecError: an unknown name or argument.
    """
    from deconfound.registry import build

    return {name: build("penalties", name, backbone, environments, **table) for name, table in tables.items()}


def several_environments(env: Tensor) -> bool:
    """Whether the (B,) environment numbers name two or more; waits for the device."""
    return bool(torch.any(env != env[:1]))
