"""Run directories made of arithmetic, in the layout that training and evaluation write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.evaluation.predictions import Predictions, save_predictions

SPLITS = {"train": 4000, "valid": 500, "test-iid": 1000, "test-flip": 1000, "test-zero": 1000}
MODALITIES = ("text", "audio", "vision")
EPOCHS = 30


def fabricate(
    folder: Path,
    *,
    method: str = "erm",
    seed: int = 0,
    name: str | None = None,
    dataset: str = "synthetic",
    protocol: str = "regression",
    modalities: Sequence[str] = MODALITIES,
    arguments: Mapping[str, Any] | None = None,
    splits: Mapping[str, int] = SPLITS,
    undefined: Iterable[str] = (),
    speakers: Sequence[str] = ("anna", "ben"),
    only: Iterable[str] | None = None,
    predicted: bool = False,
) -> Path:
    """Write one run.

    Args:
        undefined: metrics whose values are null on test-zero.
        only: splits that have records; all if None.
        predicted: keep logits of the clean test splits, for classification.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, sum(map(ord, method + dataset + protocol))])
    spec = {
        "name": name,
        "seed": seed,
        "data": {"store": f"stores/{seed}/{dataset}", "modalities": list(modalities), "environment": None},
        "method": {"name": method, **(arguments or {})},
        "backbone": {"fusion": "concat", "hidden": 64},
        "train": {"epochs": 60, "batch_size": 64},
    }
    data = {
        "name": dataset,
        "checksum": f"{sum(map(ord, dataset + protocol)):x}".ljust(64, "0"),
        "splits": dict(splits),
        "modalities": {m: {"steps": 1, "shape": [16]} for m in modalities},
    }
    identity = {"run": folder.name, "method": method, "dataset": dataset, "seed": seed, "protocol": protocol, "n": 1000}
    records = [
        identity | place | measured | ({"value": None} if _is_undefined(place, measured, undefined) else {})
        for place, strength in _places(method, modalities, splits, speakers)
        if only is None or place["split"] in only
        for measured in _values(protocol, strength + rng.normal(0, 0.015))
    ]
    for file, value in {"spec": spec, "environment": _environment(seed, data), "done": _done(seed)}.items():
        (folder / f"{file}.json").write_text(json.dumps(value))
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "log.csv").write_text("\n".join(["step,epoch,split,term,value", *_log(method, rng)]) + "\n")
    if only is None:
        opening = {"command": ["bin/deconfound", "evaluate", f"runs/{folder.name}"], "scenarios": ["test-iid"]}
        (folder / "test_access.jsonl").write_text(json.dumps(opening) + "\n")
    for split in splits if predicted else ():
        if split not in ("train", "valid"):
            _predict(folder, split, rng, sharpness=3.0 if method == "erm" else 1.2)
    return folder


def _predict(folder: Path, split: str, rng: np.random.Generator, *, sharpness: float) -> None:
    """Logits of 400 rows and 4 classes, right in about 60 % of the rows; the sharper, the more overconfident."""
    target = rng.integers(0, 4, 400)
    score = rng.normal(size=(400, 4)) + 1.2 * (np.arange(4) == target[:, None])
    ids, clean = np.arange(400).astype(str), True
    output = (sharpness * score).astype(np.float32)[None, None]
    about = (split, "", split, clean, 0, np.zeros(1), np.arange(400), ids, target)
    save_predictions(folder / "predictions" / f"{split}.npz", Predictions(*about, output))


def fabricate_sweep(folder: Path, rule: str = "valid") -> Path:
    """Two methods, three draws of CmIR, two seeds; the second draw was chosen and only chosen runs were tested."""
    chosen: dict[str, list[str]] = {}
    for method, draws in (("erm", (None,)), ("cmir", (0.1, 1.0, 10.0))):
        for draw in draws:
            for seed in (0, 1):
                name = f"{method}-{draw}-{seed}"
                taken = draw in (None, 1.0)
                arguments = {} if draw is None else {"invariance": draw}
                only = None if taken else ("valid",)
                fabricate(folder / "runs" / name, method=method, seed=seed, arguments=arguments, only=only)
                if taken:
                    chosen.setdefault(method, []).append(name)
    (folder / "runs" / "failed").mkdir()
    (folder / "runs" / "failed" / "error.json").write_text("{}")
    entries = [{"dataset": "synthetic", "method": method, "runs": runs} for method, runs in chosen.items()]
    (folder / "sweep.json").write_text("{}")
    (folder / "selection.json").write_text(json.dumps({"rule": rule, "chosen": entries}))
    return folder


def _environment(seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "started": f"2026-01-0{seed + 1}T12:00:00Z",
        "command": ["bin/deconfound", "train", "run.toml"],
        "versions": {"deconfound": "0.1.0", "torch": "2.13.0"},
        "git": {"commit": "0123abc", "changed": False},
        "data": data,
    }


def _done(seed: int) -> dict[str, Any]:
    best = {"best_epoch": 18 + seed, "best_risk": 0.3 + 0.01 * seed}
    return {"epochs": EPOCHS, "steps": EPOCHS * 10, "seconds": 41.5 + seed, "parameters": 12345} | best


def _is_undefined(place: Mapping[str, Any], measured: Mapping[str, Any], undefined: Iterable[str]) -> bool:
    return place["split"] == "test-zero" and measured["metric"] in undefined


def fabricate_grid(
    folder: Path, methods: Sequence[str] = ("erm", "cmir"), seeds: int = 3, **options: Any
) -> list[Path]:
    """Each method with each seed."""
    return [
        fabricate(folder / f"{method}-{seed}", method=method, seed=seed, **options)
        for method in methods
        for seed in range(seeds)
    ]


def _values(protocol: str, strength: float) -> list[dict[str, Any]]:
    """One value per metric that grows worse as `strength`, in about [0, 1], falls."""
    from deconfound.protocol import get_protocol

    metrics = get_protocol(protocol).metrics.items()
    values = [
        strength if metric.higher_is_better else (1.1 - strength) * (1 + 0.3 * i)
        for i, (_, metric) in enumerate(metrics)
    ]
    return [{"metric": name, "value": float(value)} for (name, _), value in zip(metrics, values, strict=True)]


def _places(
    method: str, modalities: Sequence[str], splits: Mapping[str, int], speakers: Sequence[str]
) -> list[tuple[dict[str, Any], float]]:
    """Every default scenario with how well the method does there."""
    robust = 0.0 if method == "erm" else 0.12 if method == "cmir" else 0.01 * (sum(map(ord, method)) % 16)
    at = {"valid": 0.8, "test-flip": 0.35 + 2 * robust, "test-zero": 0.6 + robust}
    clean = [split for split in splits if split != "train"]
    inside = next((s for s in ("test-iid", "test") if s in splits), clean[-1])
    found: list[tuple[dict[str, Any], float]] = []

    def add(
        scenario: str, split: str, strength: float, severity: float = 0.0, repeat: int = 0, group: str = "all"
    ) -> None:
        place = {"scenario": scenario, "split": split, "severity": severity, "repeat": repeat, "group": group}
        found.append((place, strength))

    for split in clean:
        strength = at.get(split, 0.78 - robust / 6)
        add(split, split, strength)
        for i, speaker in enumerate(speakers):
            add(split, split, strength + 0.04 - 0.11 * i / max(1, len(speakers) - 1), group=f"speaker={speaker}")
        add(split, split, strength - 0.07, group="worst(speaker)")
    for repeat in range(3):
        for severity in (0.25, 0.5, 1.0, 2.0):
            add("gaussian", inside, 0.78 - (0.2 - robust) * severity, severity, repeat)
        for severity in (0.1, 0.3, 0.5, 0.7, 0.9):
            add("drop-frames", inside, 0.78 - (0.5 - 2 * robust) * severity**2, severity, repeat)
    for size in range(1, len(modalities)):
        for subset in combinations(modalities, size):
            add(f"present={'+'.join(subset)}", inside, 0.35 + 0.13 * size + robust / 2 + 0.05 * ("text" in subset))
    return found


def _log(method: str, rng: np.random.Generator) -> list[str]:
    terms = ["total", "prediction"] + ([] if method == "erm" else ["invariance", "decorrelation", "reconstruction"])
    lines = []
    for epoch in range(EPOCHS):
        for i, term in enumerate(terms):
            value = (1 + 0.3 * i) * np.exp(-epoch / (6 + 2 * i)) + 0.2
            lines += [
                f"{epoch * 10 + step},{epoch},train,{term},{value + rng.normal(0, 0.03)!s}" for step in range(0, 10, 2)
            ]
            lines.append(
                f"{epoch * 10 + 9},{epoch},valid,{term},{value * 1.1 + 0.0008 * epoch**2 + rng.normal(0, 0.03)!s}"
            )
        risk = np.exp(-epoch / 6) + 0.25 + 0.0004 * (epoch - 18) ** 2 + rng.normal(0, 0.01)
        lines.append(f"{epoch * 10 + 9},{epoch},valid,risk,{risk!s}")
    return lines
