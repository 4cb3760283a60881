"""`Ensemble`: several trained methods whose mean prediction is the prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import RunError
from deconfound.method import Loss, Method, MethodHooks, Representations


class Ensemble(Method):
    """The mean probability of each class over the members, as logits; of a regression the mean prediction.

    Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017. Its
    representations are those of all members side by side. A variant is there if every member has one of that name.

    Args:
        members: two or more trained methods of one task and the same modalities.
    """

    def __init__(self, members: Sequence[Method]) -> None:
        nn.Module.__init__(self)  # `Method` would register the backbone a second time
        self.members = nn.ModuleList(members)
        object.__setattr__(self, "backbone", members[0].backbone)
        self.hooks = MethodHooks(variants=self._variants, representations=self._representations)
        self.needs_environments = False

    def forward(self, batch: Batch) -> Tensor:
        return mean_output(self.backbone.task, [member(batch) for member in self.members])

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        raise RunError("an ensemble is not trained; train its members, and join them with 'deconfound ensemble'")

    def _variants(self, batch: Batch) -> Mapping[str, Tensor]:
        outputs = [cast("Method", member).variants(batch) for member in self.members]
        names = [name for name in outputs[0] if all(name in others for others in outputs)]
        return {name: mean_output(self.backbone.task, [by_name[name] for by_name in outputs]) for name in names}

    def _representations(self, batch: Batch) -> Representations:
        parts = [cast("Method", member).representations(batch).predictive for member in self.members]
        return Representations({name: torch.cat([part[name] for part in parts], 1) for name in parts[0]})


def mean_output(task: Task, outputs: Sequence[Tensor]) -> Tensor:
    """The output of K models together.

    Args:
        outputs: K × (B, outputs) predictions or logits.

    Returns:
        (B, outputs) the mean; of a classification the logarithm of the mean probabilities; of several labels a row the
        logits of the mean probability of each.
    """
    stacked = torch.stack(list(outputs))
    if task.kind == "regression":
        return stacked.mean(0)
    if task.kind == "multilabel":
        return logsigmoid(stacked).logsumexp(0) - logsigmoid(-stacked).logsumexp(0)
    return stacked.log_softmax(-1).logsumexp(0) - math.log(len(outputs))
