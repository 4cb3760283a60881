"""Which features a trained method relies on: the score it loses on validation rows if a block of them is masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deconfound.data.one_label import one_label_kind
from deconfound.data.signal import Signal
from deconfound.statistics.predominance import row_scores

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.method import Method

FILE = "masked.json"
"""File in a run directory that `deconfound predominance RUN --mask` writes."""
BLOCKS = 32
"""Largest number of blocks of neighbouring features per modality."""


def masked_losses(method: Method, dataset: Dataset, blocks: int = BLOCKS) -> dict[str, Any]:
    """Mask one block of input features at a time, in all steps, by its mean over the existing steps of these rows.

    Modalities of tokens and of images have no such features and are left out.

    Args:
        dataset: the training data of the method; only its validation rows are read.
        blocks: largest number of blocks per modality; a modality with no more features has one block per feature.

    Returns:
        JSON values: "measure" ("accuracy" or "-mae"), "rows", "score" with nothing masked, and "losses": modality → list of
        {"first", "last" (numbers of the features, inclusive), "loss" (score without masking − with it)}.
    """
    data = dataset.development()
    kind = one_label_kind(data.task, "masking")
    rows = torch.arange(data.rows("valid").start, data.rows("valid").stop)
    target = data.target[rows].numpy()
    losses: dict[str, list[dict[str, float]]] = {}
    unmasked = float(row_scores(_outputs(method, data, rows, {}), target, kind).mean())
    for name, modality in data.modalities.items():
        if modality.kind not in ("vector", "sequence"):
            continue
        signal = data.signals[name].select(rows)
        mean = signal.values[signal.mask].double().mean(0).float() if signal.present.any() else None
        losses[name] = []
        for part in np.array_split(np.arange(modality.shape[0]), min(blocks, modality.shape[0])):
            changed = signal if mean is None else _masked(signal, torch.from_numpy(part), mean)
            score = row_scores(_outputs(method, data, rows, {name: changed}), target, kind).mean()
            losses[name].append({"first": int(part[0]), "last": int(part[-1]), "loss": unmasked - float(score)})
    measure = "accuracy" if kind == "classification" else "-mae"
    return {"measure": measure, "rows": len(rows), "score": unmasked, "losses": losses}


def _masked(signal: Signal, features: torch.Tensor, mean: torch.Tensor) -> Signal:
    values = signal.values.clone()
    values[..., features] = mean[features]
    return Signal(values, signal.mask).keep(signal.mask)


def _outputs(method: Method, data: Dataset, rows: torch.Tensor, signals: dict[str, Signal]) -> np.ndarray:
    """(R, outputs) of the rows, with some modalities replaced by `signals` of these R rows."""
    from deconfound.evaluation.outputs import CHUNK, collect_outputs

    batches = (
        data.batch(rows[part]).with_signals({name: signal.select(part) for name, signal in signals.items()})
        for part in torch.arange(len(rows)).split(CHUNK)
    )
    return collect_outputs(method, batches, data.task)
