"""CPU time of a training epoch of `erm` against a hand-written loop over the same sizes.

    python benchmarks/epoch.py [--encoders mlp gru] [--rounds 5]

The floor is a loop by hand: tensors in memory and already standardised, no masks, one `index_select` per tensor and batch,
clipped gradients, AdamW, once as PyTorch builds it by default and once with `fused=True`. One thread, B = 32. A round is one
floor epoch of each kind and one run of four epochs; the least processor time of each over all rounds is compared, because
other work on a machine only adds to it. "steps" leaves out validation, log and checkpoints, "epoch" has them; the floor has
none of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.datasets.synthetic import synthetic
from deconfound.nn.encoders.transformer import Transformer
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run

ROWS, BATCH, HIDDEN, FEATURES = 2400, 32, 64, 64
STEPS = {"mlp": 1, "gru": 30, "lstm": 30, "transformer": 30}


class FloorEncoder(nn.Module):
    """(B, T, D) → (B, H), of the size of the encoder of that name."""

    def __init__(self, name: str, data: Dataset, modality: str) -> None:
        super().__init__()
        recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}
        self.name = name
        if name in recurrent:
            self.body: nn.Module = recurrent[name](FEATURES, HIDDEN, batch_first=True)
        elif name == "transformer":
            self.body = Transformer(data.modalities[modality], HIDDEN)
        else:
            first, second = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
            self.body = nn.Sequential(nn.Flatten(), first, nn.GELU(), nn.Dropout(0.1), second, nn.GELU())
        self.drop = nn.Dropout(0.1)

    def forward(self, values: Tensor) -> Tensor:
        if self.name == "mlp":
            return self.body(values)
        if self.name == "transformer":
            return self.body(values, torch.ones(values.shape[:2], dtype=torch.bool))
        return self.drop(self.body(values)[0][:, -1])


class Floor:
    """A model and a loop by hand."""

    def __init__(self, name: str, data: Dataset, fused: bool) -> None:
        rows = data.rows("train")
        self.inputs = [data.signals[m].values[rows.start : rows.stop].clone() for m in data.signals]
        self.target = data.target[rows.start : rows.stop].clone()
        self.encoders = nn.ModuleList([FloorEncoder(name, data, modality) for modality in data.signals])
        width = HIDDEN * len(self.inputs)
        self.head = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, 1))
        self.parameters = [*self.encoders.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(self.parameters, fused=True if fused else None)

    def epoch(self) -> float:
        """Milliseconds of processor time per step."""
        began = time.process_time()
        batches = torch.randperm(len(self.target)).split(BATCH)
        for rows in batches:
            parts = [
                encoder(values.index_select(0, rows))
                for encoder, values in zip(self.encoders, self.inputs, strict=True)
            ]
            output = self.head(torch.cat(parts, dim=1)).squeeze(1)
            loss = (output - self.target.index_select(0, rows)).abs().mean()
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimiser.step()
        return 1000 * (time.process_time() - began) / len(batches)


class Stopwatch(Callback):
    """Processor time at the start of each epoch and at the end of its last step."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.steps: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.starts.append(time.process_time())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.is_last_batch:
            self.steps.append(time.process_time() - self.starts[-1])


def run_times(name: str, data: Dataset) -> tuple[float, float]:
    """Least milliseconds per step of a run's epochs: of the steps alone, and of whole epochs."""
    backbone = {"encoders": dict.fromkeys(data.signals, name), "hidden": HIDDEN}
    train = {"batch_size": BATCH, "epochs": 4, "patience": 9, "accelerator": "cpu", "threads": 1}
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = Spec.of({"method": "erm", "backbone": backbone, "train": train})
        train_run(spec, Path(folder) / "run", dataset=data, callbacks=[watch], progress=False)
    count = -(-len(data.rows("train")) // BATCH)
    epochs = [later - start for start, later in zip(watch.starts, watch.starts[1:], strict=False)]
    return 1000 * min(watch.steps) / count, 1000 * min(epochs) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| encoder | floor, ms a step | fused floor | steps | epoch | steps / floor | steps / fused floor | epoch / floor |"
    )
    print("|" + "---|" * 8)
    for name in options.encoders:
        data = synthetic(rows=ROWS, features=FEATURES, steps=STEPS[name])
        plain, fused = Floor(name, data, fused=False), Floor(name, data, fused=True)
        rounds = [(plain.epoch(), fused.epoch(), *run_times(name, data)) for _ in range(options.rounds)]
        floor, fused_floor, steps, epoch = (min(times) for times in zip(*rounds, strict=True))
        ratios = (steps / floor, steps / fused_floor, epoch / floor)
        cells = [f"{value:.2f}" for value in (floor, fused_floor, steps, epoch, *ratios)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
