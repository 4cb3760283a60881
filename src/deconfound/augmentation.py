"""`Augmentation`: a change of the training batches that joins any method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import SpecError
from deconfound.nn.backbone import Backbone


class Augmentation(ABC):
    """Base of all augmentations; the arguments of a subclass are keywords. It has no parameters and no state.

    One that learns something of the training rows is a `LearnedAugmentation`.
    """

    takes_tokens: ClassVar[bool] = True
    """Whether batches may hold a modality of tokens."""

    @final
    def check(self, backbone: Backbone) -> None:
        """Called once when the method is built.

        Raises:
            SpecError: a modality of the backbone holds tokens, which this augmentation cannot change.
        """
        tokens = [name for name, modality in backbone.modalities.items() if modality.kind == "tokens"]
        if tokens and not self.takes_tokens:
            raise SpecError(
                f"{type(self).__name__} cannot change the tokens of {tokens[0]}; leave it out, or leave that modality out "
                "with data.modalities"
            )

    @abstractmethod
    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        """Weighted batches of B rows in the same order, whose losses are added; the weights sum to 1.

        Args:
            backbone: that of the method; it knows the scale of the training rows.
            generator: the only source of randomness.
        """


class LearnedAugmentation(Augmentation, nn.Module):
    """Base of augmentations that learn something of the training rows; it is in buffers, so that a checkpoint holds it.

    A subclass passes nothing to the constructor. `prepare` is called before anything else, once.
    """

    def __init__(self) -> None:
        nn.Module.__init__(self)

    @abstractmethod
    def prepare(self, backbone: Backbone) -> None:
        """Make the buffers for the modalities of the method's backbone."""

    @abstractmethod
    def check_rows(self, development: Dataset) -> None:
        """Called with the training and validation rows before anything is written.

        Raises:
            DataError: there is nothing that it could learn.
        """

    @abstractmethod
    def learn(self, epoch: int, development: Dataset, backbone: Backbone, generator: torch.Generator) -> None:
        """Called before each epoch, from 0, with the training and validation rows and the only source of randomness."""

    @abstractmethod
    def summary_lines(self) -> tuple[str, ...]:
        """Sentences about what it learned; kept with the run and printed."""
