"""`cnn`: convolutions on each image, then the mean over the images that exist. The default for images."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoder import Encoder
from deconfound.nn.layers import masked_mean
from deconfound.search import Search


class CNN(Encoder):
    """3×3 convolutions of stride 2 with GELU until the image is at most 4 × 4, then one linear layer.

    Channels double with each convolution up to 4 times the first.

    Raises:
        SpecError: a step is neither (H, W) nor (channels, H, W).
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        channels: Annotated[
            int, Field(ge=1, le=65_536, description="channels of the first convolution"), Search(8, 64)
        ] = 16,
        dropout: Annotated[float, Field(ge=0, lt=1, description="share of units dropped"), Search(0.0, 0.5)] = 0.1,
    ) -> None:
        super().__init__(modality, width)
        if len(modality.shape) not in (2, 3):
            raise SpecError(
                f"the encoder 'cnn' needs steps of (H, W) or (channels, H, W); {modality.name} has {modality.shape}"
            )
        inputs, height, side = (1, *modality.shape)[-3:]
        layers: list[nn.Module] = []
        outputs = channels
        while not layers or max(height, side) > 4:
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GELU()]
            inputs, outputs = outputs, min(2 * outputs, 4 * channels)
            height, side = (height + 1) // 2, (side + 1) // 2
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(inputs * height * side, width)
        )

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        images = values.flatten(0, 1)  # (B·T, [channels,] H, W)
        images = images.unsqueeze(1) if images.ndim == 3 else images
        steps = F.gelu(self.layers(images)).unflatten(0, mask.shape)
        return steps.squeeze(1) if steps.shape[1] == 1 else masked_mean(steps, mask)
