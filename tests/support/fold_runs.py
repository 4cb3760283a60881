"""Run directories that are folds of one dataset, with predictions that are arithmetic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from support.table_runs import write_run

SPEC = {"kind": "leave-one-group-out", "group": ["speaker"], "valid": 0.15, "seed": 0}
NOISE = {"erm": (0.5, 0.7, 0.4, 0.9, 0.6), "cmir": (0.3, 0.6, 0.2, 0.6, 0.55)}


def folds(
    root: Path,
    noise: Mapping[str, tuple[float, ...]] = NOISE,
    seeds: int = 2,
    splits: tuple[str, ...] = ("test-iid", "test"),
    spec: Mapping[str, object] = SPEC,
) -> list[Path]:
    """A run for each method, fold and seed."""
    paths = []
    for method, levels in noise.items():
        for number, level in enumerate(levels, start=1):
            for seed in range(seeds):
                folder = root / f"{method}-{number}-{seed}"
                name = f"made, speaker=s{number}"
                write_run(folder, method=method, seed=seed, noise=level, dataset=name, splits=splits)
                _note(folder, number, len(levels), name, spec)
                paths.append(folder)
    return paths


def _note(folder: Path, number: int, count: int, name: str, spec: Mapping[str, object]) -> None:
    """Turn the data of a written run into a fold."""
    environment = json.loads((folder / "environment.json").read_text())
    left_out, checksum = name.partition(", ")[2], f"{spec['kind']}{number:060d}"
    environment["data"]["fold"] = {
        "of": "made",
        "checksum": "f" * 64,
        "number": number,
        "count": count,
        "spec": {**spec, "left_out": left_out},
    }
    environment["data"]["checksum"] = checksum
    (folder / "environment.json").write_text(json.dumps(environment))
    records = (folder / "records.jsonl").read_text().splitlines()
    lines = [json.dumps({**json.loads(line), "checksum": checksum}) for line in records]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")
