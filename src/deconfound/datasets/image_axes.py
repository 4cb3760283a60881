"""Arrays of images whose channels come last, as cameras and most libraries keep them."""

from __future__ import annotations

import numpy as np

from deconfound.data.task import Kind

CHANNELS = (1, 3, 4)
"""Numbers of channels that images have."""
SMALLEST_IMAGE = 8
"""Pixels of a side; arrays of fewer are features."""


def turned(array: np.ndarray, kind: Kind | None) -> tuple[np.ndarray, Kind | None, str]:
    """The array with channels first, its kind, and one line about it; as it is, and "", if it holds no such images.

    Images are (N, H, W, C) and (N, T, H, W, C) of bytes, where no other kind is named, and (N, H, W, C) of any numbers
    where the kind is "image".

    Args:
        array: (N, ...) numbers.
        kind: as the user names it.
    """
    shape = array.shape
    last = array.ndim in (4, 5) and shape[-1] in CHANNELS and min(shape[-3:-1]) >= SMALLEST_IMAGE
    named = kind == "image" and array.ndim == 4 and shape[1] not in CHANNELS
    if not last or not (named or (kind is None and array.dtype == np.uint8)):
        return array, kind, ""
    axes = "(N, H, W, C)" if array.ndim == 4 else "(N, T, H, W, C)"
    line = f"{axes} = {shape} was read as images and turned to channels first"
    return np.moveaxis(array, -1, -3), "image" if array.ndim == 4 else "sequence", line
