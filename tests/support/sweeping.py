"""Small sweeps that several tests share, and what of a sweep must not depend on how it was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deconfound.sweeps.spec import SweepSpec

TOY: dict[str, Any] = {"name": "toy", "synthetic": {"rows": 64}}
FEW: list[dict[str, Any]] = [{"name": "valid", "split": "valid"}, {"name": "test-flip", "split": "test-flip"}]


def small_sweep(**changes: Any) -> SweepSpec:
    """ERM and CmIR on 64 rows: two seeds, two draws, two epochs."""
    budget = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "patience": 15, "window": 1}
    train = {**budget, "accelerator": "cpu", **changes.pop("train", {})}
    values = {
        "seeds": 2,
        "draws": 2,
        "base": {"train": train, "backbone": {"hidden": 8}},
        "search": {"train": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
        "dataset": [TOY],
        "method": [{"name": "erm"}, {"name": "cmir"}],
        "evaluation": {"tables": FEW},
    }
    return SweepSpec.of({**values, **changes})


def results(out: Path) -> dict[str, bytes]:
    """File → bytes of everything that a sweep has measured and chosen."""
    kept = ("records.jsonl", "log.csv", "selection.json", "spec.json")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if (path.name in kept or path.suffix == ".npz") and path.name[0] != "."
    }
