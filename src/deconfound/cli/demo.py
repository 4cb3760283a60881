"""The built-in example, and what the command line shares with it: evaluating runs into one summary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.errors import RunError
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("erm", "cmir")


def run_demo(out: Path, epochs: int = 40) -> Path:
    """Train, evaluate and report ERM and CmIR on the synthetic default.

    Returns:
        the report's path.
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


def evaluate_runs(
    folders: Sequence[Path], scenarios: Path | None = None, store: Path | None = None, device: str = "cpu"
) -> pd.DataFrame:
    """Evaluate runs and return the primary metric of every clean scenario and the mean over severities of the others.

    Args:
        scenarios: a TOML file of [[scenario]] tables; the default scenarios if None.
        store: replaces the store that the runs name.
        device: where to compute.
    """
    import pandas as pd

    from deconfound.data.store import open_store
    from deconfound.evaluation.records import frame
    from deconfound.evaluation.scenario import read_scenarios
    from deconfound.protocol import get_protocol

    wanted = None if scenarios is None else read_scenarios(scenarios)
    given = None if store is None else open_store(store)
    records = []
    for folder in folders:
        run = Run.open(folder)
        if run.done is None:
            raise RunError(f"the run {folder} is not finished; run its 'deconfound train' command again to resume")
        records += run.evaluate(wanted, dataset=given, device=device, progress=sys.stderr.isatty())
    table = frame(records)
    primary = table["protocol"].map(lambda name: get_protocol(name).primary)
    table = table[(table["metric"] == primary) & (table["group"] == "all")]
    keys = ["run", "method", "scenario", "protocol", "metric"]
    return pd.DataFrame(table.groupby(keys, sort=False)["value"].mean()).reset_index()
