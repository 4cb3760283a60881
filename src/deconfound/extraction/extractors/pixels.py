"""`pixels`: images of one size, for the encoders `cnn` and `pretrained-image`, which train with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.extractor import Extractor
from deconfound.extraction.image_model import resized


class Pixels(Extractor):
    """(1, 3, side, side) float32 in [0, 255]; the shorter side is fitted, and the middle is kept."""

    kind = "image"

    def __init__(self, *, side: Annotated[int, Field(ge=8, le=1024, description="pixels of a side")] = 64) -> None:
        self.side = side

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [resized(image, self.side)[None] for image in samples]
