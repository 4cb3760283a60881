"""How many numbers scale one modality."""

from __future__ import annotations

from deconfound.data.task import Modality


def scale_shape(modality: Modality) -> tuple[int, ...]:
    """Shape of a modality's mean and standard deviation; it broadcasts against one step.

    (D,) → (D,); (channels, H, W) → (channels, 1, 1); (H, W) → (1, 1); tokens → ().
    """
    shape = modality.shape
    if len(shape) < 2:
        return shape
    return (shape[0] if len(shape) > 2 else 1, *[1] * (len(shape) - 1))
