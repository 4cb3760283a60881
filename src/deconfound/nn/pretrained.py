"""Encoders that begin with pretrained weights: what is frozen, and at which learning rate the rest trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from deconfound.data.task import Modality
from deconfound.nn.encoder import Encoder


@dataclass(frozen=True, eq=False)
class TunedPart:
    """Parameters that train at a rate of their own.

    Args:
        parameters: those that are not frozen.
        learning_rate: peak rate; the schedule of the run applies to it.
        weight_decay: None for that of the run.
    """

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    weight_decay: float | None


class PretrainedEncoder(Encoder):
    """Base of encoders with pretrained weights: a module `pretrained`, and new layers behind it.

    Args:
        learning_rate: of the last pretrained layer; each layer below has `layer_decay` times that of the one above.
        weight_decay: of the pretrained layers; None for that of the run.
        freeze: "none", "all", or the number of lowest layers, the embedding among them, that stay as they are.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        pretrained: nn.Module,
        *,
        learning_rate: float,
        weight_decay: float | None,
        layer_decay: float,
        freeze: str | int,
    ) -> None:
        super().__init__(modality, width)
        self.pretrained = pretrained
        self._rates = (learning_rate, weight_decay, layer_decay)
        layers = self.layers()
        self._frozen = len(layers) if freeze == "all" else 0 if freeze == "none" else int(freeze)
        used = {id(parameter) for layer in layers for parameter in layer.parameters()}
        for parameter in pretrained.parameters():  # such as a pooler or a classifier, which no gradient would reach
            parameter.requires_grad_(id(parameter) in used)
        for layer in layers[: self._frozen]:
            layer.requires_grad_(False)
        self.train()  # a loaded model comes in eval mode

    @abstractmethod
    def layers(self) -> list[nn.Module]:
        """The pretrained layers from the lowest to the highest; together they hold all pretrained parameters that are used."""

    def tuned_parts(self) -> Iterator[TunedPart]:
        """The pretrained parameters that train, a part per layer."""
        rate, weight_decay, decay = self._rates
        layers = self.layers()
        for depth, layer in enumerate(layers):
            parameters = tuple(p for p in layer.parameters() if p.requires_grad)
            if parameters:
                yield TunedPart(parameters, rate * decay ** (len(layers) - 1 - depth), weight_decay)

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Frozen layers stay in eval mode: no dropout, and batch norms keep their statistics."""
        super().train(mode)
        for layer in self.layers()[: self._frozen]:
            layer.eval()
        return self
