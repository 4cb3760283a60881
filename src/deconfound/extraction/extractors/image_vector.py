"""`image-vector`: one vector per image, the pooled features of a frozen EfficientNet-Lite0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.image_features import image_maps
from deconfound.extraction.image_model import PACKAGED, image_model_checksum


class ImageVector(Extractor):
    """(1, 1280) mean over the map, or (49, 1280), its 7×7 places from the upper left, row by row."""

    kind = "image"
    batch = 16

    def __init__(
        self,
        *,
        places: Annotated[bool, Field(description="keep the 7×7 places as steps instead of their mean")] = False,
    ) -> None:
        self.places = places

    def model(self) -> dict[str, str]:
        return {"model": PACKAGED, "sha256": image_model_checksum()}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        maps = image_maps(samples)
        steps = maps.flatten(2).transpose(1, 2) if self.places else maps.mean(dim=(2, 3))[:, None]
        return [array.copy() for array in steps.numpy()]
