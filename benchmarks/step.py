"""Cost of a training step, of the training engine and of feeding, on this machine.

    python benchmarks/step.py [--tables features raw-one] [--encoders gru] [--device cuda] [--threads 1] [--clock cpu]

Prints Markdown tables: rows per second of a step (loss, backward, AdamW), the ratio to ERM in the same round, and the
peak memory of a step; the shares of engine and feeding in a step; and the times of a 500 MB store. All variants of a
table are timed in turn in every round and the median is shown, so that a slow moment of the machine hits all alike. On a
machine with other work use one thread and `--clock cpu`, which counts the processor time of this process alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch._functorch.config
from torch.profiler import ProfilerActivity, profile

from deconfound.data import store
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DeconfoundError
from deconfound.method import Method
from deconfound.registry import names
from deconfound.runs.build import build_method
from deconfound.runs.spec import Spec
from deconfound.training.loaders import train_loader
from deconfound.training.optimiser import adamw
from deconfound.training.train import train_run

BATCH, ROUNDS = 64, 5
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SHAPES: dict[str, dict[str, Any]] = {
    "mlp": {"features": 64, "steps": 1},
    "gru": {"features": 64, "steps": 30},
    "lstm": {"features": 64, "steps": 30},
    "transformer": {"features": 64, "steps": 30},
}


ERM: dict[str, Any] = {"name": "erm"}


def cmir(count: int, **given: Any) -> dict[str, dict[str, Any]]:
    return {f"K={count}": {"name": "cmir", "environments": count, **given}}


def tables() -> dict[str, dict[str, dict[str, Any]]]:
    """Table → title of each variant → its table [method]. ERM is in all of them."""
    raw = {"noise_at": "raw"}
    return {
        "features": {k: m for n in (1, 2, 4, 8, 16) for k, m in cmir(n, draws="all").items()},
        "raw-pair": {k: m for n in (2, 4, 8, 16) for k, m in cmir(n, draws="pair", **raw).items()},
        "raw-one": {k: m for n in (2, 4, 8, 16) for k, m in cmir(n, draws="one", **raw).items()},
        "choices": {
            f"{argument}={value}": {"name": "cmir", argument: value}
            for argument, values in (
                ("distance", ("l1", "l2", "cosine", "kl")),
                ("decorrelate", ("xcov", "hsic", "club")),
                ("predict_on", ("both",)),
            )
            for value in values
        },
        "penalties": {name: {"name": "erm", "penalties": {name: {}}} for name in names("penalties")},
        "augmentations": {name: {"name": "erm", "augmentations": {name: {}}} for name in names("augmentations")},
        "methods": {name: {"name": name} for name in names("methods") if name != "erm"},
    }


def spec_of(method: dict[str, Any], encoder: str, data: Dataset, **train: Any) -> Spec:
    encoders = dict.fromkeys(data.signals, encoder)
    return Spec.of({"method": method, "backbone": {"encoders": encoders}, "train": {"batch_size": BATCH, **train}})


class Stepper:
    """Takes optimiser steps on one batch that lies on the device."""

    def __init__(
        self, method: dict[str, Any], encoder: str, data: Dataset, device: str, compiled: bool = False
    ) -> None:
        torch.manual_seed(0)
        environments = int(data.env.max()) + 1
        made = build_method(spec_of(method, encoder, data), data.modalities, data.task, environments=environments)
        self.batch = data.batch(torch.arange(BATCH)).to(device)
        self.method: Method = made.to(device).train()
        self.method.hooks.on_epoch_start(0, data.development(), torch.Generator().manual_seed(0))
        self.optimiser = adamw([{"params": list(self.method.parameters())}], rate=1e-3, decay=1e-2)
        self.generator = torch.Generator(device).manual_seed(0)
        self.loss = torch.compile(self.method.loss) if compiled else self.method.loss

    def take(self, steps: int) -> None:
        for _ in range(steps):
            self.optimiser.zero_grad()
            self.loss(self.batch, 0.5, self.generator).total.backward()
            self.method.hooks.after_backward(self.generator)
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), 1.0)
            self.optimiser.step()
        if self.batch.ids.is_cuda:
            torch.cuda.synchronize()

    def peak(self) -> float:
        """MB that a step holds at its peak beyond weights, optimiser and batch."""
        if self.batch.ids.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.take(1)
            return (torch.cuda.max_memory_allocated() - before) / 1e6
        self.optimiser.zero_grad()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            self.take(1)
        with tempfile.TemporaryDirectory() as folder:
            seen.export_chrome_trace(f"{folder}/trace.json")
            events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
        changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
        held = most = 0
        for _, change in changes:
            held += change
            most = max(most, held)
        return most / 1e6


def make_compilable() -> None:
    """Two settings without which the loss of CmIR compiles anew in every step, or not at all (PyTorch 2.13)."""
    torch._dynamo.config.allow_unspec_int_on_nn_module = True  # the watch for collapses counts its calls
    torch._functorch.config.view_replay_for_aliased_outputs = False  # parts of a stacked tensor are views of it


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    action()
    return clock() - began


def time_steps(
    methods: Mapping[str, dict[str, Any]], encoder: str, device: str, budget: float, clock: str, compiled: bool
) -> dict[str, dict[str, float]]:
    """Variant → rows per second, the ratio of its time to ERM's, medians over rounds, and megabytes."""
    data = synthetic(rows=256, **SHAPES[encoder])
    made = {}
    for name, method in {"erm": ERM, **methods}.items():
        try:
            made[name] = Stepper(method, encoder, data, device)
            if compiled:
                made[f"{name}, compiled"] = Stepper(method, encoder, data, device, compiled=True)
        except DeconfoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    counts = {}
    for name, stepper in made.items():
        stepper.take(5)
        each = seconds(lambda stepper=stepper: stepper.take(5), CLOCKS[clock]) / 5
        counts[name] = max(3, round(budget / ROUNDS / each))
    rounds = [
        {name: seconds(lambda n=name: made[n].take(counts[n]), CLOCKS[clock]) / counts[name] for name in made}
        for _ in range(ROUNDS)
    ]
    return {
        name: {
            "rows/s": BATCH / statistics.median(times[name] for times in rounds),
            "ratio": statistics.median(times[name] / times["erm"] for times in rounds),
            "MB": stepper.peak(),
        }
        for name, stepper in made.items()
    }


def time_engine(encoder: str, threads: int) -> dict[str, float]:
    """Milliseconds per training step of a run through the Trainer, and of what it is made of (ERM, CPU).

    "validation" is a bare pass over the validation rows per epoch, "engine" what is left: hooks, logs, checkpoints.
    """
    data = synthetic(rows=2048, **SHAPES[encoder])
    spec = spec_of(ERM, encoder, data, epochs=4, accelerator="cpu", threads=threads)
    stepper = Stepper(ERM, encoder, data, "cpu")
    method, take = stepper.method, stepper.take
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


def time_store(clock: str, megabytes: int = 500) -> dict[str, float]:
    """Opening a store, and one shuffled epoch of feeding against one plain copy of the same bytes; the least of all rounds."""
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
            copies.append(seconds(lambda: buffer.copy_(values), CLOCKS[clock]))
            loader = train_loader(mapped, 256, 0)
            feeds.append(seconds(lambda loader=loader: [None for _ in loader], CLOCKS[clock]))
    copy, feed = min(copies), min(feeds)
    gigabytes = megabytes / 1000
    return {
        "open ms": 1000 * opened,
        "copy GB/s": gigabytes / copy,
        "feed GB/s": gigabytes / feed,
        "feed / copy": copy / feed,
    }


def show_steps(table: str, found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """One row per variant, one column per encoder."""
    print(f"\n{table}: rows/s (time relative to ERM; MB at the peak of a step)\n")
    print("| variant | " + " | ".join(found) + " |\n|" + "---|" * (len(found) + 1))
    variants = list(dict.fromkeys(name for cells in found.values() for name in cells))
    for name in variants:
        row = [cells.get(name) for cells in found.values()]
        text = [f"{c['rows/s']:,.0f} ({c['ratio']:.2f}×; {c['MB']:.1f})" if c else "–" for c in row]
        print(f"| {name} | " + " | ".join(text) + " |", flush=True)


def show_engine(found: Mapping[str, Mapping[str, float]]) -> None:
    columns = list(next(iter(found.values())))
    print("\nERM through the Trainer on the CPU, milliseconds per training step\n")
    print("| encoder | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for encoder, cells in found.items():
        print(f"| {encoder} | " + " | ".join(f"{value:.2f}" for value in cells.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*tables(), "engine", "store"]
    parser.add_argument("--tables", nargs="+", default=known, choices=known)
    parser.add_argument("--encoders", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--compile", action="store_true", help="each variant a second time, its loss compiled")
    parser.add_argument("--seconds", type=float, default=2.0, help="per variant and encoder")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    make_compilable()
    found: dict[str, Any] = {"device": given.device, "threads": given.threads, "clock": given.clock, "batch": BATCH}
    print(f"{given.device}, {given.threads} threads, {given.clock} clock, B = {BATCH}, PyTorch {torch.__version__}")
    for table, methods in tables().items():
        if table in given.tables:
            how = (given.device, given.seconds, given.clock, given.compile)
            found[table] = {encoder: time_steps(methods, encoder, *how) for encoder in given.encoders}
            show_steps(table, found[table])
    if "engine" in given.tables:
        found["engine"] = {encoder: time_engine(encoder, given.threads) for encoder in given.encoders}
        show_engine(found["engine"])
    if "store" in given.tables:
        found["store"] = time_store(given.clock)
        print("\n500 MB store: " + ", ".join(f"{name} {value:.2f}" for name, value in found["store"].items()))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
