"""What the laboratory's scripts share: the training of all runs, one sweep, one table of results."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

from deconfound.io.toml_writer import toml_text

TRAIN = {"epochs": 16, "batch_size": 128, "learning_rate": 3e-3, "keep": "last"}
"""A fixed number of steps for all; the last weights, because the best in-distribution epoch is one that leans on shortcuts."""
BASE = {"train": TRAIN, "backbone": {"dropout": 0.0}}


def sweep(values: dict[str, Any], out: Path, workers: int) -> Path:
    """Run a sweep, or what is left of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    spec = out.with_suffix(".toml")
    spec.write_text(toml_text(values), encoding="utf-8")
    words = ["sweep", "run", str(spec), "--out", str(out), "--executor", "processes", "--workers", str(workers)]
    subprocess.run([sys.executable, "-m", "deconfound.cli", *words], check=True, stdout=subprocess.DEVNULL)
    return out


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """One CSV with a column for every key."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
