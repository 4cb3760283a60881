"""Small datasets and runs that several tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.synthetic import synthetic
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run

FAST: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "patience": 15,
    "window": 1,
    "accelerator": "cpu",
    "threads": 1,
}


def tiny(n: int = 12, splits: tuple[str, ...] = ("train", "valid", "test"), **changes: Any) -> Dataset:
    """n rows, a sequence "text" (T = 3, D = 2) absent in row 0 and a vector "audio" (D = 4); speakers a and b alternate."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(n, 3, dtype=torch.bool)
    mask[0] = False
    text = Signal(torch.randn(n, 3, 2, generator=generator), torch.ones(n, 3, dtype=torch.bool)).keep(mask)
    audio = Signal(torch.randn(n, 1, 4, generator=generator), torch.ones(n, 1, dtype=torch.bool))
    arguments: dict[str, Any] = {
        "name": "tiny",
        "task": Task.regression(),
        "signals": {"text": text, "audio": audio},
        "target": torch.randn(n, generator=generator),
        "metadata": {"id": [f"r{i}" for i in range(n)], "speaker": ["a", "b"] * (n // 2), "age": list(range(n))},
        "split": [splits[i * len(splits) // n] for i in range(n)],
        "environment": ("speaker",),
    }
    return Dataset.build(**{**arguments, **changes})


def small_spec(**changes: Any) -> Spec:
    """ERM on 64 synthetic rows."""
    values = {"method": "erm", "data": {"synthetic": {"rows": 64}}, "backbone": {"hidden": 8}, "train": FAST}
    return Spec.of({**values, **changes})


def small_run(out: Path, **changes: Any) -> Run:
    return train_run(small_spec(**changes), out, progress=False)


def small_data() -> Dataset:
    return synthetic(rows=64)
