"""From the runs of one world to rows: errors under every scenario, and what each part holds of causes and shortcuts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.diagnostics.recovery import recovery
from deconfound.records import read_records
from deconfound.run import Run


def measured(folder: Path, probed: Collection[str], workers: int) -> list[dict[str, Any]]:
    """One row per evaluated run of the sweeps under a folder; kept beside the run, so a second call reads it.

    Args:
        probed: worlds in which the parts are probed for causes and shortcuts, which takes a second per run.
    """
    runs = [done.parent for done in sorted(folder.glob("*/runs/*/evaluated.json"))]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_cached, runs, [probed] * len(runs), chunksize=8))


def _cached(folder: Path, probed: Collection[str]) -> dict[str, Any]:
    torch.set_num_threads(1)
    kept = folder / "measured.json"
    if not kept.is_file():
        kept.write_text(json.dumps(_measure(folder, probed)), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def _measure(folder: Path, probed: Collection[str]) -> dict[str, Any]:
    run = Run.open(folder)
    knobs = run.spec.data.synthetic or {}
    row: dict[str, Any] = {"world": knobs["name"], "method": run.spec.name, "seed": knobs["seed"]}
    metric = "mse" if run.task.kind == "regression" else "accuracy"
    drops = []
    for record in read_records(folder / "records.jsonl"):
        if record.metric != metric or (record.group != "all" and not record.group.startswith("worst(")):
            continue
        name = record.scenario + ("" if record.group == "all" else " worst")
        if record.scenario.startswith("present="):
            drops += [record.value] if record.group == "all" else []
        elif record.severity == 0 or record.scenario == "noise":
            row[name] = record.value
    row["drop"] = float(np.mean(drops))
    row["seconds"] = run.done["seconds"]  # type: ignore[index]
    return {**row, **_recovered(run)} if knobs["name"] in probed and run.spec.name != "oracle" else row


@torch.no_grad()
def _recovered(run: Run) -> dict[str, float]:
    """R² of C and S from the predictive and the spurious part on test-zero, mean over modalities; linear and kernel."""
    data, method = run.dataset(), run.method()
    rows = data.rows("test-zero")
    found = method.representations(data.batch("test-zero"))
    values: dict[str, list[float]] = {}
    for name in data.signals:
        parts = {"inv": found.predictive[name].numpy()}
        parts |= {"spu": found.spurious[name].numpy()} if name in found.spurious else {}
        factors = {kind: data.latents[f"{kind}/{name}"][rows.start : rows.stop].numpy() for kind in ("C", "S")}
        for (part, factor), value in recovery(parts, factors).items():
            values.setdefault(f"R2 linear {factor}|{part}", []).append(_number(value.linear))
            values.setdefault(f"R2 kernel {factor}|{part}", []).append(_number(value.kernel))
    return _means(values)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _means(values: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(each)) for name, each in values.items()}
