"""Names under which the parts of a dataset are stored and hashed, and the attributes that stand for a dataset below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from deconfound.data.columns import Columns
from deconfound.data.signal import Signal
from deconfound.data.task import Modality, Task


class DatasetParts(Protocol):
    """The attributes of a `Dataset` that its schema, validation and summary read; see there for their meaning.

    Functions that `Dataset` itself calls take this type, so that no module imports its own caller.
    """

    @property
    def name(self) -> str: ...
    @property
    def task(self) -> Task: ...
    @property
    def signals(self) -> Mapping[str, Signal]: ...
    @property
    def target(self) -> Tensor: ...
    @property
    def columns(self) -> Columns: ...
    @property
    def splits(self) -> Mapping[str, range]: ...
    @property
    def environment(self) -> tuple[str, ...]: ...
    @property
    def group(self) -> tuple[str, ...]: ...
    @property
    def latents(self) -> Mapping[str, Tensor]: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...
    @property
    def modalities(self) -> Mapping[str, Modality]: ...
    def __len__(self) -> int: ...


def dataset_schema(dataset: DatasetParts) -> dict[str, Any]:
    """Names, task and splits as JSON values, as a store writes them beside the tensors."""
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


def named_tensors(dataset: DatasetParts) -> dict[str, Tensor]:
    """Every tensor of a dataset under the name it has in a store."""
    tensors = {"target": dataset.target}
    for name, signal in dataset.signals.items():
        tensors |= {f"signal/{name}/values": signal.values, f"signal/{name}/mask": signal.mask}
    for name, column in dataset.columns.items():
        tensors |= {f"column/{name}/{part}": tensor for part, tensor in column.parts.items()}
    return tensors | {f"latent/{name}": values for name, values in dataset.latents.items()}
