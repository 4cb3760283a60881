"""Train contenders on real sets and keep what they score on the test splits; one line of JSON a run, so it can be resumed.

    python benchmarks/real_sets/run.py RESULTS.jsonl [--set wine] [--contender "erm standard"] [--folds 0 1 2]

Every fold is another draw of the splits (and of the shift, where the script makes one), and the seed of the run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, tables_for
from registry import all_sets

from deconfound.data.dataset import Dataset
from deconfound.evaluation.scenario import Scenario
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run

METRICS = {"classification": "accuracy", "regression": "mae"}


def measure(dataset: Dataset, tables: dict[str, Any]) -> dict[str, Any]:
    """Train a specification and score every test split."""
    start, metric = time.perf_counter(), METRICS[dataset.task.kind]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = train_run(Spec.of(tables), Path(folder) / "run", dataset=dataset, progress=False)
        seconds = time.perf_counter() - start
        records = run.evaluate([Scenario(split, split) for split in dataset.test_splits], dataset=dataset)
        done = run.done or {}
    values = {r.scenario: r.value for r in records if r.metric == metric and r.group == "all"}
    about = {"epochs": done["epochs"], "best_epoch": done["best_epoch"], "valid_risk": done["best_risk"]}
    return {"metric": metric, "values": values, "seconds": round(seconds, 2), **about}


def main() -> None:
    sets = all_sets()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--set", nargs="+", choices=sorted(sets), default=list(sets))
    parser.add_argument("--contender", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    lines = options.results.read_text(encoding="utf-8").splitlines() if options.results.is_file() else []
    known = {(line["set"], line["contender"], line["fold"]) for line in map(json.loads, lines)}
    for fold in options.folds:  # outermost, so that what is there when a call is stopped covers all sets
        for name in options.set:
            waiting = [c for c in options.contender if (name, c, fold) not in known]
            dataset = sets[name](fold) if waiting else None
            for contender in waiting:
                tables = tables_for(name, contender, fold)
                if dataset is None or tables is None:
                    continue
                line = {"set": name, "contender": contender, "fold": fold, **measure(dataset, tables)}
                with options.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(name, fold, contender, line["values"], f"{line['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
