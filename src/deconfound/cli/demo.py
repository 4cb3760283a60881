"""The built-in example."""

from __future__ import annotations

import sys
from pathlib import Path

from deconfound.cli.evaluate import evaluate_runs
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run

METHODS = ("erm", "cmir")


def run_demo(out: Path, epochs: int = 40) -> Path:
    """Train, evaluate and report ERM and CmIR on the default synthetic data.

    Returns:
        path of the report.
    """
    from deconfound.report import build_report

    folders = []
    for method in METHODS:
        folder = out / f"{method}-0"
        spec = Spec.of({"method": method, "data": {"synthetic": {}}, "train": {"epochs": epochs}})
        print(f"training {method} …", file=sys.stderr)
        train_run(spec, folder)
        folders.append(folder)
    print(evaluate_runs(folders).to_string(index=False))
    return build_report(folders, out / "report.html")
