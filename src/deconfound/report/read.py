"""What a report needs of a run directory, read from JSON and CSV alone: every field checked, nothing executed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deconfound.curves import read_curves
from deconfound.errors import RunError
from deconfound.records import Record, read_records


@dataclass(frozen=True)
class Run:
    """One trained and evaluated run.

    Args:
        folder: name of its directory.
        label: the specification's name, else the method's.
        method: registered name of the method.
        dataset: name of the data it was trained on.
        checksum: of that data.
        splits: split → number of rows, in the order of the data.
        modalities: those it was trained on, with their form: "audio (30 × 5)".
        best_epoch: epoch whose weights were kept.
        curves: (split, term) → epoch → mean over the epoch's logged steps.
    """

    folder: str
    label: str
    method: str
    seed: int
    modalities: tuple[str, ...]
    dataset: str
    checksum: str
    splits: Mapping[str, int]
    epochs: int
    best_epoch: int
    best_risk: float
    seconds: float
    parameters: int
    spec: Mapping[str, Any]
    environment: Mapping[str, Any]
    curves: Mapping[tuple[str, str], Mapping[int, float]]
    records: tuple[Record, ...]


def read_run(path: Path) -> Run:
    """Read spec.json, environment.json, log.csv, done.json and records.jsonl of a run directory.

    Raises:
        RunError: a file is missing or is not what training and evaluation write.
    """
    if not path.is_dir():
        raise RunError(f"{path} is not a run directory; give one that 'deconfound train' made")
    spec, environment = _object(path / "spec.json"), _object(path / "environment.json")
    done = _object(path / "done.json", "training has not finished; run 'deconfound train' again to resume")
    curves = _curves(path / "log.csv")
    records = _records(path / "records.jsonl")
    try:
        data = environment["data"]
        method = _text(spec["method"]["name"])
        return Run(
            folder=path.resolve().name,
            label=_text(spec["name"]) if spec.get("name") else method,
            method=method,
            seed=_whole(spec["seed"]),
            modalities=tuple(_modality(name, form) for name, form in data["modalities"].items()),
            dataset=_text(data["name"]),
            checksum=_text(data["checksum"]),
            splits={name: _whole(rows) for name, rows in data["splits"].items()},
            epochs=_whole(done["epochs"]),
            best_epoch=_whole(done["best_epoch"]),
            best_risk=_number(done["best_risk"]),
            seconds=_number(done["seconds"]),
            parameters=_whole(done["parameters"]),
            spec=spec,
            environment=environment,
            curves=curves,
            records=records,
        )
    except KeyError as error:
        raise RunError(f"{path} is damaged: its JSON files have no {error}; train again") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is damaged ({_line(error)}); train again") from error


def _read(path: Path, absent: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist: {absent}") from error
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: it is not UTF-8 text") from error


def _json(text: str) -> Any:
    """Strict JSON whose strings can be written as UTF-8; raises ValueError or RecursionError."""
    value = json.loads(text, parse_constant=_refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _object(path: Path, absent: str = "give a run directory that 'deconfound train' made") -> dict[str, Any]:
    try:
        value = _json(_read(path, absent))
    except RunError:
        raise
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({_line(error)}); train again") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds a {type(value).__name__}, not an object; train again")
    return value


def _records(path: Path) -> tuple[Record, ...]:
    records = tuple(read_records(path))
    if not records:
        raise RunError(f"{path} holds no record: the run has not been evaluated; run 'deconfound evaluate' first")
    places = {replace(record, value=None, n=0) for record in records}
    if len(places) < len(records):
        raise RunError(f"{path} holds the same measurement twice; remove the file and evaluate the run again")
    try:
        "".join(f"{r.dataset}{r.scenario}{r.split}{r.group}{r.protocol}{r.metric}" for r in records).encode()
    except UnicodeEncodeError as error:
        raise RunError(f"{path} is damaged: it holds half a character; evaluate the run again") from error
    return records


def _curves(path: Path) -> dict[tuple[str, str], dict[int, float]]:
    """(split, term) → epoch → mean; values that are not finite stay as they are."""
    logged: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in read_curves(path):
        logged.setdefault((row["split"], row["term"]), {}).setdefault(row["epoch"], []).append(row["value"])
    return {
        curve: {
            epoch: math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
            for epoch, values in epochs.items()
        }
        for curve, epochs in logged.items()
    }


def _modality(name: str, form: Mapping[str, Any]) -> str:
    """A modality in words: "audio (30 × 5)", the steps left out where there is one."""
    steps, shape = _whole(form["steps"]), [_whole(size) for size in form["shape"]]
    return f"{_text(name)} ({' × '.join(map(str, [steps, *shape] if steps > 1 else shape))})"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r:.40} is not a finite number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is not a whole number")
    return value


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
