"""The summary that `deconfound evaluate` prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.errors import RunError
from deconfound.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.data.dataset import Dataset


def evaluate_runs(
    folders: Sequence[Path], scenarios: Path | None = None, store: Path | None = None, device: str = "cpu"
) -> pd.DataFrame:
    """Evaluate runs and return the primary metric of each scenario, averaged over severities.

    Args:
        folders: finished runs.
        scenarios: a TOML file of [[scenario]] tables; the default scenarios if None.
        store: replaces the store that the runs name.
        device: PyTorch device, such as "cuda".

    Raises:
        RunError: a run is not finished.
    """
    import pandas as pd

    from deconfound.data.store import open_verified
    from deconfound.evaluation.records import frame
    from deconfound.evaluation.scenario import read_scenarios
    from deconfound.protocol import get_protocol

    selected = None if scenarios is None else read_scenarios(scenarios)
    dataset = None if store is None else open_verified(store)
    records = []
    for folder in folders:
        run = Run.open(folder)
        if run.done is None:
            raise RunError(f"the run {folder} is not finished; run its 'deconfound train' command again to resume")
        records += run.evaluate(selected, dataset=dataset, device=device, progress=sys.stderr.isatty())
    table = frame(records)
    primary = table["protocol"].map(lambda name: get_protocol(name).primary)
    table = table[(table["metric"] == primary) & (table["group"] == "all")]
    keys = ["run", "method", "scenario", "protocol", "metric"]
    return pd.DataFrame(table.groupby(keys, sort=False)["value"].mean()).reset_index()


def evaluation_warnings(folders: Sequence[Path], dataset: Dataset | None = None) -> list[str]:
    """What the primary metric does not tell: labels outside the protocol, and classes that a run never finds.

    Args:
        folders: evaluated runs.
        dataset: replaces the data that the runs name.
    """
    from deconfound.data.findings import LABEL_FINDINGS, find_all

    lines: dict[str, None] = {}
    for folder in folders:
        run = Run.open(folder)
        lines |= dict.fromkeys(find_all(run.dataset(dataset), LABEL_FINDINGS))
        table = run.records()
        table = table[
            (table["group"] == "all")
            & (table["scenario"] == table["split"])
            & (table["metric"] == "worst-class-recall")
        ]
        lines |= {
            f"{folder.name}, scenario {scenario!r}: the recall of the worst class is 0, whatever the accuracy; see "
            "'deconfound table --metric worst-class-recall --metric macro-f1'": None
            for scenario, value in zip(table["scenario"], table["value"], strict=True)
            if value == 0
        }
    return list(lines)
