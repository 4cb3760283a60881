"""What was tried where `cmir-e` falls short: causes that shift, and the voice of a new speaker.

    python benchmarks/causal/attempts.py --out runs/causal/attempts [--stores runs/stores]

Prints two tables. The second needs the stores of the digits, which `benchmarks/data/build.py` makes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import POOL
from running import TRAIN
from worlds import data

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.data.store import open_store

_SPLITTER: dict[str, Any] = {"backbone": POOL, "method": {"name": "cmir-e", "noise_at": "features"}}


def cmir_e(**changes: Any) -> dict[str, Any]:
    """The preset with the splitter as the encoder and other arguments."""
    return {**_SPLITTER, "method": {**_SPLITTER["method"], **changes}}


SHIFT: dict[str, dict[str, Any]] = {
    "erm": {"method": "erm"},
    "v-rex 100": {"method": {"name": "erm", "penalties": {"vrex": {"weight": 100.0}}}},
    "v-rex 1000": {"method": {"name": "erm", "penalties": {"vrex": {"weight": 1000.0}}}},
    "means": cmir_e(movement="means"),
    "slopes, the default": cmir_e(),
    "slopes, moments": cmir_e(penalties={"moments": {"weight": 10.0}}),
    "slopes, directed 10": cmir_e(directed_strength=10.0),
    "slopes, V-REx 100": cmir_e(vrex=100.0),
}
SPEAKERS: dict[str, dict[str, Any]] = {
    "erm": {"method": "erm"},
    "cmir-e": {"method": "cmir-e"},
    "V-REx off": {"method": {"name": "cmir-e", "vrex": 0.0}},
    "V-REx at 100": {"method": {"name": "cmir-e", "vrex": 100.0}},
    "weaker directed noise": {"method": {"name": "cmir-e", "directed_strength": 1.0}},
    "no directed noise": {"method": {"name": "cmir-e", "directed_strength": 0.0}},
    "parts of 8": {"method": {"name": "cmir-e", "dim": 8}},
}
DIGITS = {"epochs": 15, "patience": 5, "batch_size": 128, "learning_rate": 2e-3}


def scores(dataset: Dataset, out: Path, seed: int, given: dict[str, Any], train: dict[str, Any]) -> dict[str, float]:
    """Test split → mean squared error, or accuracy."""
    backbone = given.get("backbone", {})
    run = dc.fit(dataset, given["method"], out=out, seed=seed, train={**train, "threads": 1}, backbone=backbone)
    method, found = run.method(), {}
    for split in dataset.test_splits:
        batch = dataset.batch(split)
        with torch.no_grad():
            output = method(batch)
        if dataset.task.kind == "regression":
            found[split] = float((output.squeeze(1) - batch.target).square().mean())
        else:
            found[split] = float((output.argmax(1) == batch.target).float().mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/causal/attempts"))
    parser.add_argument("--stores", type=Path)
    options = parser.parse_args()
    print("| content shift, two seeds | test-iid | test-flip |\n|---|---|---|")
    for name, given in SHIFT.items():
        given = {**given, "backbone": {"dropout": 0.0, **given.get("backbone", {})}}
        found = []
        for seed in (0, 1):
            drawn = dc.synthetic(**data("A content shift", seed)["synthetic"])
            found.append(scores(drawn, options.out / f"{name}-{seed}".replace(" ", "-"), seed, given, TRAIN))
        cells = [f"{np.mean([each[split] for each in found]):.2f}" for split in ("test-iid", "test-flip")]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if options.stores:
        print("\n| speaker left out | method | known speakers | the new one |\n|---|---|---|---|")
    for speaker in ("george", "lucas") if options.stores else ():
        dataset = open_store(options.stores / f"av-digits-shift-{speaker}").with_environment("speaker")
        for name, given in SPEAKERS.items():
            given = {**given, "backbone": {"encoders": {"audio": "mlp", "image": "mlp"}}}
            row = scores(dataset, options.out / f"{speaker}-{name}".replace(" ", "-"), 0, given, DIGITS)
            print(f"| {speaker} | {name} | {row['test-iid']:.2f} | {row['test-ood']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
