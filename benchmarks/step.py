"""Cost of a training step, of the training engine and of feeding, on this machine.

    python benchmarks/step.py [--device cuda] [--threads 2] [--seconds 1.0] [--json FILE]

Prints Markdown tables: rows per second of a step (loss, backward, AdamW) for ERM and CmIR with K environments, the
ratio to ERM in the same round, the shares of engine and feeding in a step, and the times of a 500 MB store. All variants
are timed in turn in every round and the median is shown, so that a slow moment of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from deconfound import store
from deconfound.dataset import Dataset
from deconfound.datasets.synthetic import synthetic
from deconfound.feed import train_loader
from deconfound.method import Method
from deconfound.run import build_method
from deconfound.signal import Signal
from deconfound.spec import Spec
from deconfound.task import Task
from deconfound.train import train_run

BATCH, ROUNDS = 64, 5
SHAPES: dict[str, dict[str, Any]] = {
    "mlp": {"features": 64, "steps": 1},
    "gru": {"features": 64, "steps": 30},
    "transformer": {"features": 64, "steps": 30},
}
METHODS: dict[str, dict[str, Any]] = {"erm": {"name": "erm"}} | {
    f"cmir K={k}": {"name": "cmir", "environments": k, "draws": "all"} for k in (1, 2, 4, 8)
}


def spec_of(method: dict[str, Any], encoder: str, data: Dataset, **train: Any) -> Spec:
    encoders = dict.fromkeys(data.signals, encoder)
    return Spec.of({"method": method, "backbone": {"encoders": encoders}, "train": {"batch_size": BATCH, **train}})


def stepper(method: Method, data: Dataset, device: str) -> Callable[[int], None]:
    """A function that takes n optimiser steps on one batch that lies on the device."""
    batch = data.batch(torch.arange(BATCH)).to(device)
    method = method.to(device).train()
    optimiser = torch.optim.AdamW(method.parameters())
    generator = torch.Generator(device).manual_seed(0)

    def take(steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            method.loss(batch, 0.5, generator).total.backward()
            torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
            optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return take


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def time_steps(encoder: str, device: str, budget: float) -> dict[str, dict[str, float]]:
    """Method → rows per second and the ratio of its time to ERM's, medians over rounds."""
    data = synthetic(rows=256, **SHAPES[encoder])
    takes = {
        name: stepper(build_method(spec_of(method, encoder, data), data.modalities, data.task), data, device)
        for name, method in METHODS.items()
    }
    counts = {}
    for name, take in takes.items():
        take(5)
        counts[name] = max(3, round(budget / ROUNDS / (seconds(lambda take=take: take(5)) / 5)))
    rounds = [
        {name: seconds(lambda name=name: takes[name](counts[name])) / counts[name] for name in takes}
        for _ in range(ROUNDS)
    ]
    return {
        name: {
            "rows/s": BATCH / statistics.median(times[name] for times in rounds),
            "ratio": statistics.median(times[name] / times["erm"] for times in rounds),
        }
        for name in takes
    }


def time_engine(encoder: str, threads: int) -> dict[str, float]:
    """Milliseconds per training step of a run through the Trainer, and of what it is made of (ERM, CPU).

    "validation" is a bare pass over the validation rows per epoch, "engine" what is left: hooks, logs, checkpoints.
    """
    data = synthetic(rows=2048, **SHAPES[encoder])
    spec = spec_of(METHODS["erm"], encoder, data, epochs=4, accelerator="cpu", threads=threads)
    method = build_method(spec, data.modalities, data.task)
    take = stepper(method, data, "cpu")
    take(10)
    loader, valid = train_loader(data, BATCH, 0), data.batch("valid")
    rounds = []
    for turn in range(3):
        step = seconds(lambda: take(len(loader))) / len(loader)
        feed = seconds(lambda: [None for _ in loader]) / len(loader)
        with torch.inference_mode():
            check = seconds(lambda: method.eval()(valid)) / len(loader)
        method.train()
        with tempfile.TemporaryDirectory() as folder:
            run = train_run(spec.model_copy(update={"seed": turn}), Path(folder) / "run", dataset=data, progress=False)
            assert run.done is not None
            whole = run.done["seconds"] / run.done["steps"]
        rounds.append((whole, step, feed, check))
    whole, step, feed, check = (1000 * statistics.median(times) for times in zip(*rounds, strict=True))
    engine = max(0.0, whole - step - feed - check)
    return {
        "run": whole,
        "bare step": step,
        "feeding": feed,
        "validation": check,
        "engine": engine,
        "feeding %": 100 * feed / whole,
        "engine %": 100 * engine / whole,
    }


def time_store(megabytes: int = 500) -> dict[str, float]:
    """Opening a store, and one shuffled epoch of feeding against one plain copy of the same bytes."""
    width = 1000
    rows = megabytes * 1_000_000 // (4 * width)
    signal = Signal(torch.rand(rows, 1, width), torch.ones(rows, 1, dtype=torch.bool))
    split = ["train"] * (rows - 2) + ["valid", "test"]
    ids = {"id": [f"row-{i}" for i in range(rows)]}
    data = Dataset.build("big", Task.regression(), {"x": signal}, torch.zeros(rows), ids, split)
    with tempfile.TemporaryDirectory() as folder:
        path = store.save(data, Path(folder) / "store")
        opened = statistics.median(seconds(lambda: store.open_store(path)) for _ in range(20))
        mapped = store.open_store(path)
        values = mapped.signals["x"].values
        buffer = values.clone()  # pages mapped before the clock starts
        copies, feeds = [], []
        for _ in range(ROUNDS):
            copies.append(seconds(lambda: buffer.copy_(values)))
            loader = train_loader(mapped, 256, 0)
            feeds.append(seconds(lambda loader=loader: [None for _ in loader]))
    copy, feed = statistics.median(copies), statistics.median(feeds)
    gigabytes = megabytes / 1000
    return {
        "open ms": 1000 * opened,
        "copy GB/s": gigabytes / copy,
        "feed GB/s": gigabytes / feed,
        "feed / copy": copy / feed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="per method and encoder")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {"device": options.device, "threads": options.threads, "batch": BATCH}
    found["steps"] = {encoder: time_steps(encoder, options.device, options.seconds) for encoder in SHAPES}
    print(f"Steps on {options.device}, {options.threads} threads, B = {BATCH}: rows/s (time relative to ERM)\n")
    print("| encoder | " + " | ".join(METHODS) + " |\n|" + "---|" * (len(METHODS) + 1))
    for encoder, row in found["steps"].items():
        cells = [f"{cell['rows/s']:,.0f} ({cell['ratio']:.2f}×)" for cell in row.values()]
        print(f"| {encoder} | " + " | ".join(cells) + " |")
    found["engine"] = {encoder: time_engine(encoder, options.threads) for encoder in SHAPES}
    print("\nERM through the Trainer on the CPU, milliseconds per training step\n")
    print("| encoder | " + " | ".join(found["engine"]["mlp"]) + " |\n|" + "---|" * 8)
    for encoder, cells in found["engine"].items():
        print(f"| {encoder} | " + " | ".join(f"{value:.2f}" for value in cells.values()) + " |")
    found["store"] = time_store()
    print("\n500 MB store: " + ", ".join(f"{name} {value:.2f}" for name, value in found["store"].items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
