"""What is wrong with a checkpoint that does not fit the method it should be loaded into."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def first_difference(stored: Mapping[str, Tensor], built: Mapping[str, Tensor]) -> str | None:
    """The first parameter or buffer that differs, as "backbone.encoders.text.layer.weight is 8×4 there and 16×4 here".

    Args:
        stored: name → tensor of the checkpoint.
        built: the same of the method.

    Returns:
        None where names and shapes agree.
    """
    for name in [*built, *(name for name in stored if name not in built)]:
        if name not in stored:
            return f"{name} is not in the checkpoint"
        if name not in built:
            return f"{name} is in the checkpoint only"
        if stored[name].shape != built[name].shape:
            return f"{name} is {_size(stored[name])} in the checkpoint and {_size(built[name])} here"
    return None


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
