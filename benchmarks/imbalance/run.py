"""Methods for imbalanced modalities on worlds with a hidden confounder and known interventional truth.

    python benchmarks/imbalance/run.py --out runs/imbalance [--worlds context content] [--methods erm qmf] [--seeds 8]
                                       [--rows 3000] [--epochs 60] [--workers 2]

Accuracy in distribution (test-iid), under do(x_p) (test-do) and with the confounder reversed (test-flip); with the
auxiliary absent and noisy in distribution; and the negative log-likelihood under do(x_p). "Bayes-do" and "Bayes-iid" are the
best interventional and the best in-distribution predictor, which know the latents. The epoch is selected by validation risk,
where the context helps; nothing is tuned. Each seed draws its own world and rows as well as weights. Other predictions
of a method stand in lines of their own as "method [variant]". Per world: table.md, and table.json with every seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import Job, mean_sd, one_thread, paired_interval, run_jobs

from deconfound.calibration import probabilities
from deconfound.datasets.imbalance import imbalance
from deconfound.evaluation import kept_predictions
from deconfound.scenario import Scenario

WORLDS: dict[str, dict[str, Any]] = {
    "context": {},
    "content": {"content": 0.5},
    "strong-auxiliary": {"effect_auxiliary": 0.8},
    "weak-auxiliary": {"effect_auxiliary": 0.1},
    "child": {"auxiliary": "child"},
    "collider": {"auxiliary": "collider"},
    "interaction": {"effect_both": 0.4},
    "nothing-shared": {"shared": 0.0},
    "small": {"rows": 300},
    "unconfounded": {"context": 0.0},
}
METHODS: dict[str, dict[str, Any]] = {
    "erm": {"method": "erm"},
    "predominant only": {"method": "erm", "data": {"modalities": ["predominant"]}},
    "auxiliary only": {"method": "erm", "data": {"modalities": ["auxiliary"]}},
    "late": {"method": "erm", "backbone": {"fusion": "late"}},
    "modality dropout": {"method": {"name": "erm", "augmentations": {"modality-dropout": {}}}},
    "predominant head": {"method": {"name": "predominant-head", "predominant": "predominant"}},
    "ogm-ge": {"method": "ogm-ge"},
    "pmr": {"method": "pmr"},
    "mmpareto": {"method": "mmpareto"},
    "qmf": {"method": "qmf"},
    "gradient blending": {"method": "gradient-blending"},
    "imml": {"method": "imml"},
    "imml robust": {"method": "imml-robust"},
    "qmf + imml": {"method": "imml", "backbone": {"fusion": "qmf"}},
}
CLEAN = [Scenario(name, name) for name in ("test-iid", "test-do", "test-flip")]
DAMAGED = [
    Scenario("absent", "test-iid", present=("predominant",)),
    Scenario(
        "noisy",
        "test-iid",
        corruption="gaussian",
        arguments={"modalities": ["auxiliary"]},
        severities=(1.0,),
        repeats=3,
    ),
]
COLUMNS = ("iid", "do", "flip", "absent", "noisy", "nll do")


def scores(p: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Accuracy and mean negative log-likelihood of (..., N) probabilities of class 1."""
    truth = np.clip(np.where(target == 1, p, 1 - p), 1e-12, 1)
    return float(((p > 0.5) == (target == 1)).mean()), float(-np.log(truth).mean())


def measure(folder: Path, alone: str | None) -> dict[str, dict[str, float]]:
    """Variant of the method → column → value, from the kept predictions of a run on all modalities or on a single one."""
    found: dict[str, dict[str, float]] = {}
    for scenario in CLEAN if alone else [*CLEAN, *DAMAGED]:
        kept = kept_predictions(folder, scenario)
        assert kept is not None, f"{folder} was not evaluated on {scenario.name}"
        for variant in ("", *kept.variants):
            output = kept.of(variant).output
            p = probabilities(output.reshape(-1, output.shape[-1]))[:, 1].reshape(output.shape[:-1])
            column = scenario.name.removeprefix("test-")
            values = found.setdefault(variant, {})
            values[column], nll = scores(p, kept.target)
            if column == "do":
                values["nll do"] = nll
    for values in found.values() if alone else ():
        values["absent"] = values["noisy"] = values["iid"] if alone == "predominant" else float("nan")
    return found


def bayes(knobs: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """The Bayes predictors on the same rows."""
    data = imbalance(**knobs)
    for name in ("bayes-do", "bayes-iid"):
        values = {}
        for scenario in CLEAN:
            rows = data.rows(scenario.split)
            cut = slice(rows.start, rows.stop)
            p, target = data.latents[name][cut, 0].double().numpy(), data.target[cut].numpy()
            values[scenario.name.removeprefix("test-")], nll = scores(p, target)
            if scenario.split == "test-do":
                values["nll do"] = nll
        yield name.capitalize(), values


def knobs_of(world: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `imbalance`."""
    return {"name": world, "rows": options.rows, **WORLDS[world], "seed": seed}


def single(name: str) -> str | None:
    """The modality that a method is confined to."""
    return METHODS[name].get("data", {}).get("modalities", [None])[0]


def job_of(world: str, name: str, seed: int, options: argparse.Namespace) -> Job:
    """What is trained, where, and what is evaluated."""
    given = METHODS[name]
    data = {"synthetic": {"model": "imbalance", **knobs_of(world, seed, options)}, **given.get("data", {})}
    values = one_thread({"name": name, **given, "data": data, "train": {"epochs": options.epochs}}, seed)
    folder = options.out / world / f"{name.replace(' ', '-')}-{seed}"
    return values, folder, CLEAN if single(name) else [*CLEAN, *DAMAGED]


def collected(world: str, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Row of the table → values of every seed."""
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name, values in bayes(knobs_of(world, seed, options)):
            found.setdefault(name, []).append(values)
        for name in options.methods:
            for variant, values in measure(job_of(world, name, seed, options)[1], single(name)).items():
                found.setdefault(f"{name} [{variant}]" if variant else name, []).append(values)
    return found


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Means and standard deviations over seeds, and what each gains over ERM under do(x_p) and reversed."""
    lines = [
        "| method | " + " | ".join(COLUMNS) + " | do − erm [95 %] | flip − erm [95 %] |",
        "|" + "---|" * (len(COLUMNS) + 3),
    ]
    several = len(next(iter(found.values()))) > 1

    def cell(values: list[float]) -> str:
        if any(np.isnan(values)):
            return "–"
        return mean_sd(values) if several else f"{values[0]:.3f}"

    for name, seeds in found.items():
        cells = [cell([values.get(column, float("nan")) for values in seeds]) for column in COLUMNS]
        for column in ("do", "flip"):
            pairs = [[values[column] for values in rows] for rows in (seeds, found.get("erm", seeds))]
            cells.append(paired_interval(*pairs) if several and name != "erm" and "erm" in found else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    grid = [
        (world, name, seed) for world in options.worlds for seed in range(options.seeds) for name in options.methods
    ]
    run_jobs([job_of(*each, options) for each in grid], options.workers)
    for world in options.worlds:
        found = collected(world, options)
        text = f"## {world}: {WORLDS[world] or 'the defaults'}\n\n{table(found)}\n"
        (options.out / world / "table.md").write_text(text, encoding="utf-8")
        (options.out / world / "table.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
