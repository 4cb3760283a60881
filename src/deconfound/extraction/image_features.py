"""Features of a frozen image model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deconfound.extraction.image_model import SIDE, as_input, load_image_model, resized


@lru_cache(maxsize=1)
def _frozen() -> Any:
    return load_image_model().eval()


def image_maps(images: Sequence[np.ndarray]) -> Tensor:
    """(B, 1280, 7, 7) features of B images (H, W, 3) uint8."""
    pixels = torch.from_numpy(np.stack([resized(image, SIDE) for image in images]))
    with torch.inference_mode():
        return _frozen().extract_features(as_input(pixels))
