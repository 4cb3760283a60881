"""Cost of an evaluation in passes over the rows, and of a cold start in imports of PyTorch, on this machine.

    python benchmarks/evaluation.py [--rows 600] [--rounds 5] [--run RUN]

Trains a small run of erm, or takes a finished RUN that names its data, and prints one JSON line. `evaluate` is the processor
time of the default evaluation of a fresh copy, `passes` that of as many passes over the rows as its scenarios ask for:
read, encode, fuse, predict. `predict` and `refuse` are a process that predicts one row and one that refuses a run that
does not exist, `torch` is a process that imports PyTorch. All are processor seconds of one thread, taken in turn in
every round. The minimum is shown, so that other work on the machine counts least; the ratios are those of the minima.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from deconfound.evaluation.outputs import collect_outputs, row_batches
from deconfound.evaluation.scenario import default_scenarios
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run


def evaluate_copy(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("predictions", "records.jsonl", "variants.jsonl"))
        Run.open(copy).evaluate()


def make_passes(folder: Path) -> None:
    """As many passes as the default scenarios ask for, without corruption, metrics or files."""
    run = Run.open(folder)
    dataset, method = run.dataset(), run.method()
    for scenario in default_scenarios(dataset):
        for _ in range(len(scenario.severities) * scenario.repeats):
            collect_outputs(method, row_batches(dataset, dataset.rows(scenario.split)), dataset.task)


def cpu_seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def cold_seconds(*words: str) -> float:
    """Processor seconds of a Python process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def one_row(run: Run, path: Path) -> Path:
    """A file of JSON lines with one row of zeros."""
    row = {name: torch.zeros(m.steps, *m.shape).tolist() for name, m in run.modalities.items()}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.run or Path(scratch) / "run"
        if options.run is None:
            values = {"method": "erm", "data": {"synthetic": {"rows": options.rows}}}
            train_run(Spec.of({**values, "train": {"epochs": 1, "threads": 1}}), folder, progress=False)
        row = str(one_row(Run.open(folder), Path(scratch) / "row.jsonl"))
        measures: dict[str, Callable[[], float]] = {
            "evaluate": lambda: cpu_seconds(lambda: evaluate_copy(folder)),
            "passes": lambda: cpu_seconds(lambda: make_passes(folder)),
            "predict": lambda: cold_seconds("-m", "deconfound.cli", "predict", str(folder), row),
            "refuse": lambda: cold_seconds("-m", "deconfound.cli", "evaluate", str(Path(scratch) / "nosuch")),
            "torch": lambda: cold_seconds("-c", "import torch"),
        }
        rounds = [{name: measure() for name, measure in measures.items()} for _ in range(options.rounds)]
    best = {name: round(min(one[name] for one in rounds), 3) for name in measures}
    ratios = {
        "evaluate/passes": round(best["evaluate"] / best["passes"], 2),
        "predict/torch": round(best["predict"] / best["torch"], 2),
        "refuse/torch": round(best["refuse"] / best["torch"], 2),
    }
    print(json.dumps(best | ratios))


if __name__ == "__main__":
    main()
