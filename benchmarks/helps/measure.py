"""What helps beside the method: each choice alone on top of `erm`, on real sets, with its cost.

Writes one JSON line for each set, seed and choice into --out, and skips what is there. `summary.py` makes the tables.

    python benchmarks/helps/measure.py --data FOLDER --out helps.jsonl --work RUNS --seeds 5
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import deconfound as dc
from deconfound.evaluation.predictions import load_predictions
from deconfound.metrics.ece import ECE
from deconfound.runs.evaluate_posthoc import evaluate_posthoc
from deconfound.runs.last_layer import retrain_last_layer
from deconfound.runs.posthoc import fit_adjustment

sys.path.insert(0, str(Path(__file__).parents[1] / "real_sets"))
from sets import real_set

SETS = (
    "wine-sessions",
    "breast-cancer",
    "breast-cancer-sessions",
    "diabetes",
    "diabetes-sessions",
    "digits@600",
    "digits-sessions@600",
    "av-digits-speaker@1000",
    "crema-d-actors@1000",
    "crema-d-levels@1000",
)
TRAIN: Mapping[str, Any] = {"accelerator": "cpu", "threads": 1}
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "erm": {},
    "member 2": {"seed": 1000},
    "member 3": {"seed": 2000},
    "ema": {"train": {"averaging": "ema"}},
    "swa": {"train": {"averaging": "swa", "patience": 60}},
    "swad": {"train": {"averaging": "swad"}},
    "label smoothing .1": {"train": {"label_smoothing": 0.1}},
    "balance class": {"train": {"balance": "class"}},
    "balance group": {"train": {"balance": "group"}},
    "auxiliary": {"method": {"name": "erm", "penalties": {"auxiliary": {}}}},
    "late fusion": {"backbone": {"fusion": "late"}},
}
"""Name → what differs from `erm` with all defaults; members join the ensemble."""
TEST = [dc.Scenario("test", "test")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--choices", nargs="*", default=list(CHOICES))
    parser.add_argument("--minutes", type=float, default=5.0, help="stop after so many; the next call goes on")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    done = {(line["set"], line["seed"], line["choice"]) for line in read(given.out)}
    warnings.simplefilter("ignore")
    for seed in range(given.first, given.first + given.seeds):
        for name in given.sets:
            data: dc.Dataset | None = None
            for choice in given.choices:
                if (name, seed, choice) in done:
                    continue
                if time.monotonic() > end:
                    print("out of time; call again to go on")
                    return
                data = real_set(name, seed, given.data) if data is None else data
                lines = [dict(line, set=name, seed=seed) for line in measured(data, seed, choice, given.work / name)]
                with open(given.out, "a", encoding="utf-8") as file:
                    file.writelines(json.dumps(line) + "\n" for line in lines)
    print("finished")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def measured(data: dc.Dataset, seed: int, choice: str, work: Path) -> Iterator[dict[str, Any]]:
    """The lines of one choice; "erm" has those of what is fitted afterwards, and the last member those of the ensemble."""
    change = CHOICES[choice]
    skipped = data.task.kind == "regression" and choice in ("label smoothing .1", "balance class", "late calibrated")
    one_group = choice == "balance group" and not several(data)
    if skipped or one_group:
        yield {"choice": choice}
        return
    begun = time.process_time()
    run = dc.fit(
        data,
        change.get("method", "erm"),
        out=work / f"{choice}-{seed}".replace(" ", "-"),
        seed=seed + change.get("seed", 0),
        train={**TRAIN, **change.get("train", {})},
        backbone=change.get("backbone"),
        progress=False,
    )
    yield {"choice": choice, "cpu": time.process_time() - begun, **scores(run, data)}
    if choice == "erm":
        yield from afterwards(run, data)
    if choice == "erm":
        for balance in ("class", "group"):
            if (balance == "class" and data.task.kind == "regression") or (balance == "group" and not several(data)):
                continue
            other = work / f"dfr-{balance}-{seed}"
            retrained = (
                dc.Run.open(other) if other.exists() else retrain_last_layer(run, other, balance=balance, dataset=data)
            )
            yield {"choice": f"dfr by {balance}", **scores(retrained, data)}
    if choice == "member 3":
        folders = [work / f"{name}-{seed}".replace(" ", "-") for name in ("erm", "member 2", "member 3")]
        joined = dc.ensemble(folders, work / f"ensemble-{seed}", dataset=data)
        yield {"choice": "ensemble of 3", **scores(joined, data)}
        if data.task.kind == "classification":
            evaluate_posthoc(joined, TEST, dataset=data, calibrate="temperature")
            yield {"choice": "ensemble of 3 + temperature", **kept_scores(joined, data, "temperature")}


def several(data: dc.Dataset) -> bool:
    """Whether the training rows are of several environments."""
    rows = data.rows("train")
    return len(data.env[rows.start : rows.stop].unique()) > 1


def scores(run: dc.Run, data: dc.Dataset) -> dict[str, float]:
    run.evaluate(TEST, dataset=data)
    return kept_scores(run, data, "")


def kept_scores(run: dc.Run, data: dc.Dataset, variant: str) -> dict[str, float]:
    """Accuracy, risk and calibration error of the test rows, or R² and risk."""
    kept = load_predictions(run.path / "predictions" / "test.npz").of(variant)
    output, target = kept.output[0, 0], kept.target
    if data.task.kind == "regression":
        error = float(((output[:, 0] - target) ** 2).mean())
        return {"score": 1 - error / float(target.var()), "risk": error}
    wide = output.astype(np.float64)
    shares = wide - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1, keepdims=True)) - wide.max(1, keepdims=True)
    recalls = [float((wide.argmax(1)[target == c] == c).mean()) for c in np.unique(target)]
    return {
        "score": float((wide.argmax(1) == target).mean()),
        "recall": float(np.mean(recalls)),
        "risk": -float(shares[np.arange(len(target)), target].mean()),
        "ece": ECE().value(output, target),
    }


def afterwards(run: dc.Run, data: dc.Dataset) -> Iterator[dict[str, Any]]:
    """Calibration, priors, and the coverage and size of intervals or sets."""
    if data.task.kind == "classification":
        options: list[Mapping[str, Any]] = [
            {"calibrate": "temperature"},
            {"calibrate": "isotonic"},
            {"prior": "uniform"},
        ]
        for option in options:
            evaluate_posthoc(run, TEST, dataset=data, **option)
            adjustment = fit_adjustment(run, **option)
            assert adjustment is not None
            yield {"choice": adjustment.name, **kept_scores(run, data, adjustment.name)}
    for by in ((), data.environment):
        records = evaluate_posthoc(run, TEST, dataset=data, level=0.9, by=by)
        overall = {r.metric.partition("@")[0]: r.value for r in records if "@" in r.metric and r.group == "all"}
        size = overall.get("set-size", overall.get("width"))
        worst = [r.value for r in records if r.metric.startswith("coverage@") and r.group.startswith("worst(")]
        yield {
            "choice": "conformal .9" + (" by group" if by else ""),
            "coverage": overall["coverage"],
            "worst": worst[0] if worst else None,
            "size": size,
        }


if __name__ == "__main__":
    main()
