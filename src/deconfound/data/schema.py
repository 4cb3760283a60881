"""The names under which the parts of a dataset are stored and summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset


def describe_form(dataset: Dataset) -> dict[str, Any]:
    """Names, task and splits as JSON values: what a store writes beside the tensors."""
    task = dataset.task
    return {
        "name": dataset.name,
        "task": {"kind": task.kind, "classes": list(task.classes), "loss": task.loss, "protocol": task.protocol},
        "modalities": list(dataset.signals),
        "columns": list(dataset.columns),
        "latents": list(dataset.latents),
        "splits": {name: [rows.start, rows.stop] for name, rows in dataset.splits.items()},
        "environment": list(dataset.environment),
        "group": list(dataset.group),
    }


def named_tensors(dataset: Dataset) -> dict[str, Tensor]:
    """Every tensor of a dataset under the name it has in a store."""
    tensors = {"target": dataset.target}
    for name, signal in dataset.signals.items():
        tensors |= {f"signal/{name}/values": signal.values, f"signal/{name}/mask": signal.mask}
    for name, column in dataset.columns.items():
        tensors |= {f"column/{name}/{part}": tensor for part, tensor in column.parts.items()}
    return tensors | {f"latent/{name}": values for name, values in dataset.latents.items()}
