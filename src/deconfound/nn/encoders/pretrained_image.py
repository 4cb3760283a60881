"""`pretrained-image`: the packaged EfficientNet-Lite0 on pixels, which trains with the rest or stays frozen."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.extraction.image_model import WIDTH, features_of, load_image_model
from deconfound.nn.pretrained import PretrainedEncoder


class PretrainedImage(PretrainedEncoder):
    """The mean of the last feature map, averaged over the steps that exist, then a linear layer to the hidden width.

    Import the images with `extractor = { name = "pixels", side = 224 }`; other sides are enlarged or shrunk to `side`. The
    pixels arrive standardised per channel, which is close to what the model was trained with.

    Raises:
        SpecError: the modality does not hold images with three channels.
        DataError: a package is missing.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        side: Annotated[int, Field(ge=32, le=512, description="pixels of a side as the model sees them")] = 160,
        freeze: Annotated[
            Literal["none", "all"] | Annotated[int, Field(ge=0)],
            Field(description='"none", "all", or how many of the lowest layers, the stem first, stay as they are'),
        ] = "none",
        learning_rate: Annotated[float, Field(gt=0, description="peak learning rate of the pretrained layers")] = 1e-4,
        weight_decay: Annotated[
            float | None, Field(ge=0, description="weight decay of the pretrained layers; that of the run if left out")
        ] = None,
        layer_decay: Annotated[
            float, Field(gt=0, le=1, description="learning rate of each layer as a share of the one above")
        ] = 1.0,
    ) -> None:
        if modality.kind != "image" or len(modality.shape) != 3 or modality.shape[0] != 3:
            raise SpecError(
                f"the encoder 'pretrained-image' needs images (3, H, W); {modality} is not: import them with "
                'extractor = { name = "pixels", side = 224 }'
            )
        super().__init__(
            modality,
            width,
            load_image_model(),
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            layer_decay=layer_decay,
            freeze=freeze,
        )
        self.side = side
        self.leave = nn.Linear(WIDTH, width)

    def layers(self) -> list[nn.Module]:
        children = dict(self.pretrained.named_children())
        stem = nn.ModuleList([children["_conv_stem"], children["_bn0"]])
        top = nn.ModuleList([children["_conv_head"], children["_bn1"]])
        return [stem, *children["_blocks"].children(), top]

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        images = values.flatten(0, 1)
        if tuple(images.shape[2:]) != (self.side, self.side):
            images = F.interpolate(images, size=(self.side, self.side), mode="bilinear", align_corners=False)
        features = features_of(self.pretrained, images).mean(dim=(2, 3)).unflatten(0, values.shape[:2])
        weight = mask.to(features.dtype)[..., None]
        return self.leave((features * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1))
