"""What a method predicts for many rows: the one loop over batches that evaluation, prediction and attribution share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import RunError
from deconfound.nn.inference import apply_to_batches

if TYPE_CHECKING:
    from deconfound.method import Method

CHUNK = 256
"""Rows that are corrupted from one generator and predicted at once; another number draws other noise."""


def row_batches(dataset: Dataset, rows: range | torch.Tensor, size: int = CHUNK) -> Iterator[Batch]:
    """Batches of at most `size` rows, in the order of `rows`."""
    for start in range(0, len(rows), size):
        yield dataset.batch(rows[start : start + size])


def collect_outputs(
    method: Method, batches: Iterable[Batch], task: Task, *, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Predict batches in eval mode and without gradients.

    Returns:
        (N, outputs) float32 predictions, or logits of the classes, for all rows in the order of the batches.

    Raises:
        RunError: the method gave another shape.
    """
    parts = apply_to_batches(method, batches, lambda batch: batch_outputs(method, batch, task), device)
    return np.concatenate([np.empty((0, task.outputs), dtype=np.float32), *parts])


def batch_outputs(method: Method, batch: Batch, task: Task) -> np.ndarray:
    """(B, outputs) float32 predictions or logits of one batch.

    Raises:
        RunError: the method gave another shape.
    """
    return _to_array(method, method(batch), batch, task)


def variant_outputs(method: Method, batch: Batch, task: Task) -> dict[str, np.ndarray]:
    """Variant → (B, outputs); "" is the prediction itself.

    Raises:
        RunError: the method gave another shape.
    """
    variants = {name: _to_array(method, output, batch, task) for name, output in method.variants(batch).items()}
    return {"": batch_outputs(method, batch, task), **variants}


def _to_array(method: Method, output: torch.Tensor, batch: Batch, task: Task) -> np.ndarray:
    expected = (len(batch), task.outputs)
    if output.shape != expected:
        raise RunError(f"{type(method).__name__} gave {tuple(output.shape)} outputs; this task expects {expected}")
    return output.float().cpu().numpy()


def check_finite(wrong: np.ndarray, ids: Sequence[str] | np.ndarray, what: str) -> None:
    """Refuse outputs that are not finite.

    Args:
        wrong: (N,) bool, the rows with such an output.
        ids: N names of the rows.
        what: the method and what it predicted, for the message.

    Raises:
        RunError: there is one.
    """
    if wrong.any():
        raise RunError(
            f"{what}: {int(wrong.sum())} of {len(wrong)} outputs are NaN or infinite (the first is of "
            f"{str(ids[int(wrong.argmax())])!r}); the training has diverged: train with a smaller learning rate"
        )
