"""A method small enough to compute by hand, and rows for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.method import Loss, Method


class Toy(Method):
    """Output o is o + scale · Σ of all values of all modalities; dropout shows whether it is in training mode."""

    def __init__(self, outputs: int = 1, scale: float = 1.0) -> None:
        super().__init__(nn.Identity())  # type: ignore[arg-type]
        self.outputs = outputs
        self.scale = nn.Parameter(torch.tensor(scale))
        self.drop = nn.Dropout(0.5)
        self.seen: list[Batch] = []

    def forward(self, batch: Batch) -> Tensor:
        self.seen.append(batch)
        total = torch.stack([signal.values.double().flatten(1).sum(dim=1) for signal in batch.signals.values()]).sum(0)
        output = self.scale * total.float().unsqueeze(1) + torch.arange(self.outputs)
        return self.drop(output)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        risks = self(batch).squeeze(1)
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, {}, risks.unsqueeze(1))


def rows(n: int = 40, task: Task | None = None, **changes: Any) -> Dataset:
    """n rows in train, valid, test-iid, test-flip by quarters: "text" (T = 4, D = 2) with padding, "audio" (D = 3)."""
    draw = torch.Generator().manual_seed(7)
    task = task or Task.regression()
    lengths = torch.randint(1, 5, (n, 1), generator=draw)
    every = torch.ones(n, 4, dtype=torch.bool)
    given: dict[str, Any] = {
        "signals": {
            "text": Signal(torch.randn(n, 4, 2, generator=draw), every).keep(torch.arange(4) < lengths),
            "audio": Signal(5 * torch.randn(n, 1, 3, generator=draw) + 2, every[:, :1]),
        },
        "target": torch.randint(0, task.outputs, (n,), generator=draw)
        if task.kind == "classification"
        else torch.randn(n, generator=draw),
        "metadata": {"id": [f"r{i}" for i in range(n)], "speaker": [("anna", "bo")[i % 2] for i in range(n)]},
        "split": [("train", "valid", "test-iid", "test-flip")[4 * i // n] for i in range(n)],
        "environment": ("speaker",),
    }
    return Dataset.build("toys", task, **{**given, **changes})
