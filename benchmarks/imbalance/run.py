"""Methods for imbalanced modalities on worlds with a hidden confounder and known interventional truth.

    python benchmarks/imbalance/run.py --out runs/imbalance [--worlds context content] [--seeds 8] [--workers 2]
    python benchmarks/imbalance/run.py --out runs/imbalance --worlds content-strong --ways
    python benchmarks/imbalance/run.py --out runs/imbalance-long --worlds context --methods erm imml --epochs 40

The first call trains the laboratory, the second what else was tried where the mediator is confounded, the third checks
that longer training would not change it. Each seed draws its own world and rows as well as weights; seeds begin at 200,
which no default was chosen on. Nothing is tuned, all methods of a world get the same number of steps, and the last
weights predict. A second call does only what is missing. Writes table.json: world → row → one entry per seed; `page.py`
makes the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import Job, one_thread, run_jobs
from scores import bayes, columns_of, curve, halves, latents_of, measure
from shallow import shallow
from worlds import (
    CLEAN,
    DAMAGED,
    METHODS,
    UNION,
    WAYS,
    WORLDS,
    configuration,
    knobs,
    methods_of,
    single,
)

from deconfound.datasets.imbalance import imbalance

FIRST_SEED = 200
CANONICAL = "canonical + logistic"


def folder_of(out: Path, world: str, name: str, seed: int) -> Path:
    """The run directory."""
    return out / world / f"{''.join(c if c.isalnum() else '-' for c in name)}-{seed}"


def job_of(out: Path, world: str, name: str, seed: int, epochs: int | None) -> Job:
    """What is trained, where, and what is evaluated."""
    values = one_thread(configuration(world, name, seed, epochs), seed)
    return values, folder_of(out, world, name, seed), CLEAN if single(name) else [*CLEAN, *DAMAGED]


def row_name(name: str, prediction: str) -> str:
    """ "imml [do]" """
    return f"{name} [{prediction}]" if prediction else name


def collected(out: Path, world: str, names: list[str], seeds: range) -> dict[str, list[dict[str, Any]]]:
    """Row of the table → values of every seed; "curve NAME" has those of η."""
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        data = imbalance(**knobs(world, seed))
        linear = shallow(data)
        reference = dict(bayes(data)) | {CANONICAL: columns_of(linear, data)}
        if "erm" in names:
            mixed = halves(folder_of(out, world, "erm", seed), linear)
            reference[f"erm and {CANONICAL}, half each"] = columns_of(mixed, data)
        for name, values in reference.items():
            found.setdefault(name, []).append(values)
        for name in names:
            folder = folder_of(out, world, name, seed)
            answers = measure(folder, single(name), latents_of(data, "test-do"))
            for prediction, values in answers.items():
                found.setdefault(row_name(name, prediction), []).append(values)
            if "do" in answers:
                found.setdefault(f"curve {name}", []).append(curve(folder))
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *UNION, *WAYS])
    parser.add_argument("--ways", action="store_true", help="also what else was tried for a confounded mediator")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    plan = {world: list(options.methods or methods_of(world)) for world in options.worlds}
    if options.ways:
        plan = {world: ["erm", "imml robust", *(options.methods or WAYS)] for world in plan}
    run_jobs(
        [
            job_of(options.out, world, name, seed, options.epochs)
            for world in plan
            for seed in seeds
            for name in plan[world]
        ],
        options.workers,
    )
    path = options.out / "table.json"
    tables = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for world, names in plan.items():
        tables[f"{world}, ways" if options.ways else world] = collected(options.out, world, names, seeds)
    path.write_text(json.dumps(tables), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
