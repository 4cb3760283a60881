"""Labels beyond the range that the metric protocol is made for, or far inside it."""

from __future__ import annotations

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings.wording import named_rows
from deconfound.protocol import get_protocol, label_range_warning


def find(dataset: Dataset) -> list[str]:
    """One line if labels do not fit the protocol."""
    if dataset.task.kind != "regression":
        return []
    warning = label_range_warning(dataset.task.protocol, dataset.target.numpy())
    if warning is None:
        return []
    limits = get_protocol(dataset.task.protocol).label_range
    beyond = torch.zeros(0) if limits is None else (dataset.target < limits[0]) | (dataset.target > limits[1])
    rows = torch.nonzero(beyond).flatten().tolist()
    return [f"{warning} ({named_rows(dataset, rows)})" if rows else warning]
