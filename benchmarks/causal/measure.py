"""From the runs of one world to rows: errors under every scenario, and what each part holds of causes and shortcuts."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.diagnostics.matching import dci, match_dimensions
from deconfound.diagnostics.recovery import recovery
from deconfound.evaluation.records import read_records
from deconfound.runs.run import Run


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
    run = Run.open(folder)
    asked = (run.spec.data.synthetic or {})["name"] in probed and run.spec.name != "oracle"
    row = {**_kept(folder / "measured.json", lambda: _errors(run))}
    if asked:
        row |= _kept(folder / "recovered.json", lambda: _recovered(run))
        row |= _kept(folder / "matched.json", lambda: _matched(run))
    return row


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not path.is_file():
        path.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _errors(run: Run) -> dict[str, Any]:
    knobs = run.spec.data.synthetic or {}
    row: dict[str, Any] = {"world": knobs["name"], "method": run.spec.name, "seed": knobs["seed"]}
    metric = "mse" if run.task.kind == "regression" else "accuracy"
    drops = []
    for record in read_records(run.path / "records.jsonl"):
        if record.metric != metric or (record.group != "all" and not record.group.startswith("worst(")):
            continue
        name = record.scenario + ("" if record.group == "all" else " worst")
        if record.scenario.startswith("present="):
            drops += [record.value] if record.group == "all" else []
        elif record.severity == 0 or record.scenario == "noise":
            row[name] = record.value
    row["drop"] = float(np.mean(drops))
    row["seconds"] = run.done["seconds"]  # type: ignore[index]
    return row


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


@torch.no_grad()
def _matched(run: Run) -> dict[str, float]:
    """MCC of the predictive part and the causes, mean over modalities; DCI of both parts and all latents, of the first."""
    data, method = run.dataset(), run.method()
    rows = data.rows("test-zero")
    cut = slice(rows.start, rows.stop)
    found = method.representations(data.batch("test-zero"))
    scores = [
        match_dimensions(found.predictive[name].numpy(), data.latents[f"C/{name}"][cut].numpy())
        for name in data.signals
    ]
    first = next(iter(data.signals))
    parts = [found.predictive[first], *([found.spurious[first]] if first in found.spurious else [])]
    latents = np.concatenate([data.latents[f"{kind}/{first}"][cut].numpy() for kind in ("C", "S")], axis=1)
    told = dci(torch.cat(parts, 1).numpy(), latents)
    row = {"MCC": float(np.mean([np.nan if score is None else score.mcc for score in scores]))}
    if told is not None:
        row |= {"D": _number(told.disentanglement), "C": _number(told.completeness), "I": told.informativeness}
    return row


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _means(values: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(each)) for name, each in values.items()}
