"""A small CmIR, and its parts by the book."""

from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.methods.cmir import CmIR
from deconfound.nn.backbone import Backbone
from deconfound.nn.disentangle import Disentangler, StackedLinear
from deconfound.registry import build
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,)), "face": Modality("face", 1, (5,))}
TASK = Task.regression()


def make(
    rows: int = 8, backbone: dict[str, Any] | None = None, task: Task = TASK, **arguments: Any
) -> tuple[CmIR, Batch]:
    torch.manual_seed(0)
    built = Backbone.build(MODALITIES, task, **{"hidden": 8, "dropout": 0.0, **(backbone or {})})
    method = build("methods", "cmir", built, **arguments)
    return method, random_batch(MODALITIES, task, rows, torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def apply(layer: StackedLinear, group: int, values: Tensor) -> Tensor:
    return values @ layer.weight[group] + layer.bias[group]


class Plain:
    """CmIR by the book on one modality: no stacking, no identities, loops over pairs of environments and of rows."""

    def __init__(self, split: Disentangler, group: int) -> None:
        self.split, self.group = split, group

    def parts(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.gelu(apply(self.split.trunk.layer, self.group, features))
        return apply(self.split.invariant, self.group, hidden), apply(self.split.spurious, self.group, hidden)

    def rebuilt(self, features: Tensor) -> Tensor:
        decoder = self.split.decoder
        hidden = F.gelu(apply(decoder.first, self.group, torch.cat(self.parts(features), 1)))
        return apply(decoder.second, self.group, hidden)

    def invariance(self, views: list[Tensor]) -> Tensor:
        parts = [self.parts(view)[0] for view in views]
        return torch.stack([(a - b).abs().mean() for a, b in permutations(parts, 2)]).mean()

    def decorrelation(self, features: Tensor, alpha: float) -> Tensor:
        first, second = (F.normalize(part, dim=1) for part in self.parts(features))
        weight = alpha + (1 - alpha) * torch.eye(len(features))
        return (weight * (first @ second.T)).square().sum() / len(features)


def calls_of(method: CmIR, kinds: tuple[type[nn.Module], ...]) -> list[str]:
    called: list[str] = []
    for name, module in method.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    return called
