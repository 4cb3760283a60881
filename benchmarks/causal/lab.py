"""The causal laboratory: methods on structural causal models whose causes are known.

    python benchmarks/causal/lab.py --out runs/causal [--workers 2] [--seeds 8] [--draws 4]

Every method gets the same number of hyper-parameter draws per family, judged by the worst left-out environment of one world
with data seeds of its own. What is chosen is then trained on every world of the family with new data seeds. A second call
does only what is missing. Writes results.csv, one row per world, method and seed, which `tables.py` turns into tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, ENCODED, label
from measure import measured
from running import BASE, TRAIN, sweep, write
from worlds import EXTRA, SCENARIOS, TUNED_ON, WORLDS, data, family

SEARCH = {"train": {"learning_rate": {"low": 1e-3, "high": 6e-3, "log": True}}}
RULE = "worst-left-out-environment"
"""The mean over left-out environments is taken too, and selection in distribution, to show what they choose."""
TUNING_SEED = 1000
"""Data seed of tuning; the results are on the seeds from 0."""
EXTRA_SEEDS = 4
"""Seeds of the sequence and classification versions."""


def tune(out: Path, rule: str, draws: int, workers: int) -> dict[tuple[str, str], dict[str, Any]]:
    """(family, method) → the run specification that was chosen by a rule."""
    found = sweep(
        {
            "name": f"tuning by {rule}",
            "seeds": 1,
            "draws": draws,
            "base": BASE,
            "search": SEARCH,
            "selection": {"rule": rule},
            "evaluation": {"tables": SCENARIOS},
            "dataset": [{"name": name, **data(world, TUNING_SEED)} for name, world in TUNED_ON.items()],
            "method": CONTENDERS,
        },
        out / f"tune-{rule}",
        workers,
    )
    chosen = json.loads((found / "selection.json").read_text(encoding="utf-8"))["chosen"]
    folders = {(each["dataset"], each["method"]): found / "runs" / each["runs"][0] for each in chosen}
    return {pair: json.loads((folder / "spec.json").read_text(encoding="utf-8")) for pair, folder in folders.items()}


def entry(spec: dict[str, Any], contender: dict[str, Any]) -> dict[str, Any]:
    """One [[method]] with every argument fixed."""
    method = dict(spec["method"])
    joined = {kind: method.pop(kind) for kind in ("penalties", "augmentations") if kind in method}
    name = method.pop("name")
    return {
        "name": name,
        "label": label(contender),
        "arguments": method,
        "backbone": contender.get("backbone", {}),
        **joined,
    }


def final(out: Path, group: str, chosen: dict[tuple[str, str], dict[str, Any]], seeds: int, workers: int) -> Path:
    """All methods with what was chosen for them, on the seeds of all worlds of a family; and the oracle."""
    methods = [(chosen[group, label(each)], each) for each in CONTENDERS]
    encoded = entry(chosen[group, "cmir-e"], ENCODED)
    encoded["arguments"]["noise_at"] = "raw"
    rates = {label(each): spec["train"]["learning_rate"] for spec, each in methods}
    places = [
        (world, seed)
        for world in [*WORLDS, *EXTRA]
        for seed in range(seeds if world in WORLDS else min(seeds, EXTRA_SEEDS))
        if family(world) == group
    ]
    drawings = [{"name": f"{world} {seed}", **data(world, seed)} for world, seed in places]
    folder = out / f"family-{group}"
    for rate in sorted(set(rates.values())):  # a learning rate belongs to all of a sweep
        entries = [entry(spec, each) for spec, each in methods if rates[label(each)] == rate]
        entries += [encoded] if rates["cmir-e"] == rate else []
        values = {"name": group, "seeds": 1, "dataset": drawings, "method": entries}
        values["base"] = {**BASE, "train": {**TRAIN, "learning_rate": rate}}
        sweep({**values, "evaluation": {"tables": SCENARIOS}}, folder / f"rate-{1e6 * rate:.0f}", workers)
    causes = [{"name": f"{world} {seed}", **data(world, seed, observe="causes")} for world, seed in places]
    oracle = {
        "name": group,
        "seeds": 1,
        "base": BASE,
        "dataset": causes,
        "method": [{"name": "erm", "label": "oracle"}],
    }
    sweep({**oracle, "evaluation": {"tables": SCENARIOS}}, folder / "oracle", workers)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/causal"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--draws", type=int, default=4)
    options = parser.parse_args()
    chosen = tune(options.out, RULE, options.draws, options.workers)
    rows = []
    for group in TUNED_ON:
        folder = final(options.out, group, chosen, options.seeds, options.workers)
        rows += measured(folder, list(TUNED_ON.values()), options.workers)
        write(options.out / "results.csv", rows)
        print(f"family {group}: done", flush=True)
    for rule in ("leave-one-environment-out", "valid"):
        tune(options.out, rule, options.draws, options.workers)
    print(f"wrote {options.out / 'results.csv'}")


if __name__ == "__main__":
    main()
