"""A small CmIR, and its parts by the book."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.methods.cmir import CmIR
from deconfound.nn.backbone import Backbone
from deconfound.nn.disentangle import Disentangler
from deconfound.nn.stacked import StackedLayers, StackedLinear
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


class Plain:
    """Splitter and decoder of one modality without stacking."""

    def __init__(self, split: Disentangler, group: int) -> None:
        self.split, self.group = split, group

    def _layer(self, layer: StackedLinear, values: Tensor) -> Tensor:
        return values @ layer.weight[self.group] + layer.bias[self.group]

    def _layers(self, stack: StackedLayers, values: Tensor) -> Tensor:
        for layer in stack.layers:
            values = (F.relu if stack.activation == "relu" else F.gelu)(self._layer(layer, values))
        return values

    def parts(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._layers(self.split.trunk, features)
        return self._layer(self.split.invariant, hidden), self._layer(self.split.spurious, hidden)

    def rebuilt(self, features: Tensor) -> Tensor:
        return self._layer(self.split.rebuilt, self._layers(self.split.decoder, torch.cat(self.parts(features), 1)))


def calls_of(method: CmIR, kinds: tuple[type[nn.Module], ...]) -> list[str]:
    called: list[str] = []
    for name, module in method.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    return called
