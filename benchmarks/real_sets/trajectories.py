"""Every epoch of a training, kept: what rules of selection, patience and budgets are compared on without a new training.

    python benchmarks/real_sets/trajectories.py --data FOLDER --out FOLDER --sets digits wine --seeds 10 11 12 \\
        --budgets today --methods erm

A trajectory is one file, NAME-METHOD-BUDGET-SEED.npz, with the outputs of all validation and test rows after each epoch. The
training sees no test row: a callback predicts them from the weights of the epoch, and no rule reads them. Files that exist are
left alone, so a call that was stopped goes on.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from sets import SETS, real_set

from deconfound.data.dataset import Dataset
from deconfound.io.files import atomic_write
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run


def budget(name: str, rows: int) -> dict[str, Any]:
    """The [train] of a name: "today" for 60 epochs of batches of 64; "s1000-b32-r0.001" for 1000 steps of 32 rows."""
    if name == "today":
        return {"epochs": 60, "batch_size": 64, "learning_rate": 1e-3}
    steps, batch, rate = (part[1:] for part in name.split("-", 2))
    epochs = math.ceil(int(steps) / math.ceil(rows / int(batch)))
    return {"epochs": epochs, "batch_size": int(batch), "learning_rate": float(rate)}


class Outputs(Callback):
    """(E, N, outputs) of the rows of each split after every epoch."""

    def __init__(self, dataset: Dataset) -> None:
        self.batches = {split: dataset.batch(split) for split in ("valid", "test")}
        self.kept: dict[str, list[np.ndarray]] = {split: [] for split in self.batches}

    @torch.no_grad()
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        for split, batch in self.batches.items():
            self.kept[split].append(pl_module.method(batch).float().numpy())


def trajectory(dataset: Dataset, method: str | dict[str, Any], seed: int, train: dict[str, Any]) -> dict[str, Any]:
    """Outputs of every epoch, targets, and the seconds of the training."""
    values = {"seed": seed, "method": method, "train": {**train, "keep": "last", "accelerator": "cpu", "threads": 1}}
    outputs, start = Outputs(dataset), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train_run(Spec.of(values), Path(folder) / "run", dataset=dataset, callbacks=[outputs], progress=False)
    arrays: dict[str, Any] = {split: np.stack(kept) for split, kept in outputs.kept.items()}
    targets = {f"{split}_target": batch.target.numpy() for split, batch in outputs.batches.items()}
    rows = dataset.splits["train"]
    centre = dataset.target[rows.start : rows.stop].double().mean()
    return {**arrays, **targets, "centre": float(centre), "rows": len(rows), "seconds": time.process_time() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[10, 11, 12, 13, 14])
    parser.add_argument("--budgets", nargs="+", default=["today"])
    parser.add_argument("--methods", nargs="+", default=["erm"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in options.sets:
            for settings in options.budgets:
                for method in options.methods:
                    path = options.out / f"{name}-{method}-{settings}-{seed}.npz"
                    if path.exists():
                        continue
                    dataset = real_set(name, seed, options.data)
                    made = trajectory(dataset, method, seed, budget(settings, len(dataset.splits["train"])))
                    with atomic_write(path, "wb") as file:
                        np.savez_compressed(file, **made)
                    print(f"{path.stem}: {made['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
