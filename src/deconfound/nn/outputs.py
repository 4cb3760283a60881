"""What a model makes of rows: the one loop that predicts, encodes or looks at batches outside of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.nn.layers import in_eval_mode

CHUNK = 256
"""Rows that are predicted at once, and corrupted by one generator: another number gives another draw of a corruption."""


@contextmanager
def evaluating(model: nn.Module, device: str | torch.device | None = None) -> Iterator[torch.device]:
    """The model in eval mode, on a device and without gradients; afterwards it is as it was.

    Args:
        device: where to compute; None for where the model is.

    Yields:
        the device.
    """
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    place = home if device is None else torch.device(device)
    with in_eval_mode(model), torch.no_grad():
        model.to(place)
        try:
            yield place
        finally:
            model.to(home)


def batches_of(dataset: Dataset, rows: Tensor | range, size: int = CHUNK) -> Iterator[Batch]:
    """Batches of at most `size` rows, in their order.

    Args:
        rows: (R,) row numbers, or a range of them.
    """
    for start in range(0, len(rows), size):
        yield dataset.batch(rows[start : start + size])


def collect_outputs(
    model: nn.Module,
    batches: Iterable[Batch],
    look: Callable[[Batch], Mapping[str, Tensor]],
    *,
    device: str | torch.device | None = None,
    home: bool = True,
) -> dict[str, Tensor]:
    """What `look` sees in every batch, row by row, in eval mode and without gradients.

    Args:
        batches: of B_i rows each, at least one; moved to the device one after the other.
        look: batch on the device → name → (B_i, ...), the same names for every batch.
        device: where to compute; None for where the model is.
        home: bring the results to the CPU; otherwise they stay on the device.

    Returns:
        name → (Σ B_i, ...).
    """
    parts: dict[str, list[Tensor]] = {}
    with evaluating(model, device) as place:
        for batch in batches:
            for name, values in look(batch.to(place)).items():
                parts.setdefault(name, []).append(values.cpu() if home else values)
    return {name: torch.cat(values) for name, values in parts.items()}
