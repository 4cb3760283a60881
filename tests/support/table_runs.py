"""Run directories whose predictions are arithmetic, with the records that follow from them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.evaluation.predictions import Predictions, save_predictions
from deconfound.evaluation.records import Record, read_records, write_records
from deconfound.io.files import file_stem
from deconfound.protocol import get_protocol
from deconfound.tables import ComparisonTable, TableSettings, build_tables, to_csv

ROWS = 120
LEVELS = (0.5, 1.0, 2.0)
FEW = 200


def labels(protocol: str, rows: int = ROWS) -> np.ndarray:
    """(N,) the same for every run: float32 labels, or classes 0 … 2."""
    rng = np.random.default_rng(7)
    kind = get_protocol(protocol).kind
    return rng.normal(size=rows).astype(np.float32) if kind == "regression" else rng.integers(0, 3, rows)


def write_run(
    folder: Path,
    *,
    method: str = "erm",
    seed: int = 0,
    name: str | None = None,
    noise: float = 0.5,
    protocol: str = "regression",
    dataset: str = "made",
    splits: Sequence[str] = ("test-iid", "test-flip"),
    rows: int = ROWS,
    keep: bool = True,
    constant: bool = False,
) -> Path:
    """One trained and evaluated run: valid and each test split clean, and on the first "gaussian" with two repeats and
    "half", damage of its first half alone.

    Args:
        noise: spread of the errors; a run's own luck moves it by up to 2 %.
        keep: False to keep no predictions.
        constant: predict one value, so that `corr` is undefined.
    """
    rng = np.random.default_rng([seed, sum(map(ord, method))])
    spread = noise * (1 + 0.02 * rng.uniform(-1, 1))
    whole = labels(protocol, rows)
    records: list[Record] = []
    identity = {"run": folder.name, "method": name or method, "dataset": dataset, "seed": seed}
    places = [(split, split, (0.0,), 1) for split in ("valid", *splits)]
    places += [("gaussian", splits[0], LEVELS, 2), ("half", splits[0], LEVELS, 1)]
    for scenario, split, levels, repeats in places:
        rows = len(whole) // 2 if scenario == "half" else len(whole)
        target = whole[:rows]
        output = np.stack(
            [
                [_output(rng, target, protocol, spread + 0.3 * level, constant) for _ in range(repeats)]
                for level in levels
            ]
        )
        ids = np.array([f"{split}-{i}" for i in range(rows)])
        numbers, clean = np.arange(rows), scenario == split
        kept = Predictions(scenario, scenario, split, clean, 0, np.array(levels), numbers, ids, target, output)
        if keep:
            save_predictions(folder / "predictions" / f"{file_stem(scenario)}.npz", kept)
        records += _records(kept, protocol, identity)
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "records.jsonl", records)
    _write_rest(
        folder, {"method": method, "seed": seed, "name": name, "dataset": dataset, "protocol": protocol}, splits
    )
    return folder


def _output(rng: np.random.Generator, target: np.ndarray, protocol: str, spread: float, constant: bool) -> np.ndarray:
    """(N, outputs) float32."""
    if get_protocol(protocol).kind == "classification":
        return (2 * np.eye(3)[target] + 3 * spread * rng.normal(size=(len(target), 3))).astype(np.float32)
    moved = 0 * target if constant else target + spread * rng.normal(size=len(target))
    return moved[:, None].astype(np.float32)


def _records(kept: Predictions, protocol: str, identity: Mapping[str, Any]) -> list[Record]:
    found = []
    for v, severity in enumerate(kept.severities.tolist()):
        for repeat in range(kept.output.shape[1]):
            scores = {"all": get_protocol(protocol).score(kept.output[v, repeat], kept.target)}
            if kept.clean:
                half = len(kept.target) // 2
                scores["worst(speaker)"] = get_protocol(protocol).score(
                    kept.output[v, repeat, :half], kept.target[:half]
                )
            found += [
                Record(
                    **identity,
                    scenario=kept.scenario,
                    split=kept.split,
                    severity=severity,
                    repeat=repeat,
                    group=group,
                    protocol=protocol,
                    metric=metric,
                    value=score.value,
                    n=score.n,
                )
                for group, by_metric in scores.items()
                for metric, score in by_metric.items()
            ]
    return found


def _write_rest(folder: Path, about: Mapping[str, Any], splits: Sequence[str]) -> None:
    spec = {"name": about["name"], "seed": about["seed"], "method": {"name": about["method"]}}
    data = {
        "name": about["dataset"],
        "checksum": f"{sum(map(ord, about['dataset'] + about['protocol'])):x}".ljust(64, "0"),
        "splits": dict.fromkeys(("train", "valid", *splits), ROWS),
        "modalities": {"text": {"steps": 1, "shape": [4]}},
    }
    environment = {"command": ["deconfound"], "versions": {}, "git": None, "data": data}
    done = {"epochs": 2, "steps": 4, "best_epoch": 1, "best_risk": 0.5, "seconds": 1.0, "parameters": 10}
    for file, value in {"spec": spec | {"data": {}}, "environment": environment, "done": done}.items():
        (folder / f"{file}.json").write_text(json.dumps(value))
    (folder / "log.csv").write_text("step,epoch,split,term,value\n2,0,valid,risk,0.6\n4,1,valid,risk,0.5\n")


def grid(folder: Path, noises: dict[str, float], seeds: int = 4, **options: object) -> list[Path]:
    return [
        write_run(folder / f"{method}-{seed}", method=method, seed=seed, noise=noise, **options)  # type: ignore[arg-type]
        for method, noise in noises.items()
        for seed in range(seeds)
    ]


def one(paths: list[Path], **settings: object) -> ComparisonTable:
    tables = build_tables(paths, TableSettings(**{"resamples": FEW, **settings}))  # type: ignore[arg-type]
    assert len(tables) == 1
    return tables[0]


def recorded(path: Path, scenario: str, metric: str, severity: float = 0.0, group: str = "all") -> list[float]:
    """Values of all repeats."""
    return [
        record.value
        for record in read_records(path / "records.jsonl")
        if (record.scenario, record.metric, record.severity, record.group) == (scenario, metric, severity, group)
        and record.value is not None
    ]


def rows_of_csv(table: ComparisonTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(table))))
