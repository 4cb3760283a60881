"""`Augmentation`: a change of the training batches that any method can be given."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from deconfound.data.signal import Batch
from deconfound.nn.backbone import Backbone


class Augmentation(ABC):
    """Base of all augmentations; the arguments of a subclass are keywords. It has no parameters and no state."""

    def check(self, backbone: Backbone) -> None:  # noqa: B027 (most can change any input)
        """Called once when the method is built.

        Raises:
            SpecError: a modality of the backbone that it cannot change.
        """

    @abstractmethod
    def __call__(self, batch: Batch, backbone: Backbone, generator: torch.Generator) -> list[tuple[float, Batch]]:
        """Weighted batches of B rows in the order of the given ones, whose losses are added; the weights sum to 1.

        Args:
            backbone: of the method; knows the scale of the training rows.
            generator: the only source of randomness.
        """
