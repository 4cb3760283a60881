"""Environments that were declared, and that were guessed from a run: what `cmir-e` and V-REx make of them.

    python benchmarks/causal/inferred.py --out runs/causal/inferred [--workers 2] [--seeds 3]

Prints the table of docs/methods/cmir-e.md. A second call does only what is missing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from attempts import scores

import deconfound as dc
from deconfound.runs.infer_environments import InferenceWarning, infer_environments

TRAIN = {"epochs": 25, "keep": "last"}
TASKS: dict[str, dict[str, Any]] = {"regression": {}, "three classes": {"task": "classification", "classes": 3}}
COMPARED: dict[str, Any] = {
    "cmir-e": "cmir-e",
    "v-rex": {"name": "erm", "penalties": {"vrex": {"weight": 30.0}}},
}
GUESSES: tuple[Literal["eiil", "cluster"], ...] = ("eiil", "cluster")
Row = tuple[str, str]


def of_seed(task: str, seed: int, out: Path) -> dict[Row, dict[str, float]]:
    """(environments, method) → test split → error, and for guesses the agreement with what was declared."""
    torch.set_num_threads(1)
    data = dc.synthetic(rows=1000, seed=seed, **TASKS[task])
    found = {("", "erm"): scores(data, out / "erm", seed, {"method": "erm"}, TRAIN)}
    sets = {"declared": data}
    for how in GUESSES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InferenceWarning)
            guessed = infer_environments(out / "erm", how=how, dataset=data)
        sets[how] = guessed.with_environment("inferred")
    for name, dataset in sets.items():
        for method, given in COMPARED.items():
            found[name, method] = scores(dataset, out / f"{name}-{method}", seed, {"method": given}, TRAIN)
    wrong = task != "regression"
    return {row: {split: 1 - v if wrong else v for split, v in values.items()} for row, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/causal/inferred"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    jobs = [
        (task, seed, options.out / f"{task}-{seed}".replace(" ", "-"))
        for task in TASKS
        for seed in range(options.seeds)
    ]
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = list(pool.map(of_seed, *zip(*jobs, strict=True)))
    print("| environments | method | iid, flip, zero: regression | three classes |\n|---|---|---|---|")
    for environments, method in done[0]:
        cells = []
        for task in TASKS:
            of_task = [
                found[environments, method] for (each, _, _), found in zip(jobs, done, strict=True) if each == task
            ]
            means = [np.mean([values[f"test-{split}"] for values in of_task]) for split in ("iid", "flip", "zero")]
            cells.append(", ".join(f"{value:.2f}" for value in means))
        print(f"| {environments} | {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
