"""`Record`: one metric of one run on one set of rows; `records.jsonl` holds one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.io.limits import LARGEST, LINES
from deconfound.io.reading import FileKind, parse_json, read_bytes, reading
from deconfound.metric import Score
from deconfound.protocol import Protocol, protocol_of

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.data.dataset import Dataset
    from deconfound.evaluation.predictions import Predictions

WORST = "worst("
"""Beginning of the name of a worst group."""
VARIANTS = "variants.jsonl"
"""File of a run, beside its records.jsonl, with the records of its other predictions."""
CORPORA = "corpora"
"""Folder of a run with one folder for each other corpus that it was evaluated on, laid out like the run itself."""
CORPUS = "corpus.json"
"""File in such a folder: name, checksum and rows by split of the corpus."""


@dataclass(frozen=True)
class Record:
    """One metric value.

    Args:
        run: name of the run.
        method: name of the method.
        dataset: name of the corpus.
        seed: seed of the training.
        scenario: such as "test-flip" or "gaussian".
        split: split that the rows are from.
        severity: severity of the corruption, 0 for none.
        repeat: number of the draw of the corruption, from 0.
        group: "all", one environment ("speaker=anna"), or "worst(speaker)", the worst of these by this metric.
        protocol: name of the protocol that defines the metric.
        metric: such as "mae".
        value: in shares or target units; None where the metric is undefined on these rows.
        n: number of rows that enter the value.
        checksum: of the corpus; "" in a file that does not say it.
        groups: of a worst group: number of groups among the rows; None elsewhere and in records of earlier versions.
        undefined: of a worst group: how many of these do not define the metric, so that one of them may be worse.
    """

    run: str
    method: str
    dataset: str
    seed: int
    scenario: str
    split: str
    severity: float
    repeat: int
    group: str
    protocol: str
    metric: str
    value: float | None
    n: int
    checksum: str = ""
    groups: int | None = None
    undefined: int | None = None


_FIELDS = tuple(field.name for field in fields(Record))
_COUNTS = {"groups", "undefined"}
"""Fields of worst groups alone, which those of earlier versions lack too."""
_FILE = FileKind("records", RunError, "remove the file and evaluate the run again", LINES)
_NUMBER = (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    "seed": (int,),
    "severity": _NUMBER,
    "repeat": (int,),
    "value": (*_NUMBER, type(None)),
    "n": (int,),
    "groups": (int, type(None)),
    "undefined": (int, type(None)),
}


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write all records as JSON lines, whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    with atomic_write(path) as file:
        for record in records:
            values = {name: value for name, value in vars(record).items() if name not in _COUNTS or value is not None}
            file.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")


def read_records(path: str | Path) -> list[Record]:
    """Read JSON lines; a missing file holds no record.

    Raises:
        RunError: the file cannot be read or a line is not a record.
    """
    with reading(path, _FILE):
        if not Path(path).exists():
            return []
    lines = read_bytes(path, _FILE).splitlines()
    return [_record(line, f"{path} line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _record(line: bytes, location: str) -> Record:
    try:
        values: Any = parse_json(line, infinite=True)
        if not isinstance(values, dict) or {"checksum", *_COUNTS, *values} != set(_FIELDS):
            raise ValueError("its fields are not those of a record")
        for name, value in values.items():
            _check(name, value)
        return Record(**values)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:160]
        raise RunError(f"{location} is not a record ({reason}); remove the file and evaluate the run again") from error


def _check(name: str, value: object) -> None:
    types = _TYPES.get(name, (str,))
    finite = not isinstance(value, int | float) or abs(value) < (2**63 if isinstance(value, int) else LARGEST)
    if not isinstance(value, types) or isinstance(value, bool) or not finite:
        raise ValueError(f"{name} is {value!r}")


def merged(before: Sequence[Record], after: Sequence[Record]) -> list[Record]:
    """The earlier records of all scenarios that `after` does not have, then `after`."""
    fresh = {record.scenario for record in after}
    return [record for record in before if record.scenario not in fresh] + list(after)


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record, one column per field; an undefined value is NaN."""
    import pandas as pd

    table = pd.DataFrame([vars(record) for record in records], columns=list(_FIELDS))
    return table.astype({"value": float, "severity": float, **dict.fromkeys(_COUNTS, "Int64")})


@dataclass(frozen=True)
class Identity:
    """The run that made some predictions.

    Args:
        run: name of the run.
        method: name of the method.
        seed: seed of the training.
        checksum: of the corpus that is predicted.
    """

    run: str
    method: str
    seed: int
    checksum: str = ""


def records_of(predictions: Predictions, dataset: Dataset, identity: Identity) -> list[Record]:
    """Every metric of the task's protocol at every severity and repeat; for clean rows also by environment and the worst one.

    Raises:
        DataError: the task's protocol does not exist or judges another kind of task.
        RunError: the predictions do not belong to the rows of the dataset.
    """
    _check_rows(predictions, dataset)
    protocol = protocol_of(dataset.task.protocol, dataset.task.kind)
    records = []
    for v, severity in enumerate(predictions.severities.tolist()):
        for repeat in range(predictions.output.shape[1]):
            output = predictions.output[v, repeat]
            scores = {"all": protocol.score(output, predictions.target)}
            if predictions.clean and dataset.environment:
                scores |= _by_group(output, predictions, dataset, protocol)
            environments = [
                scored for group, scored in scores.items() if group != "all" and not group.startswith(WORST)
            ]
            records += [
                Record(
                    **vars(identity),
                    dataset=dataset.name,
                    scenario=predictions.scenario,
                    split=predictions.split,
                    severity=severity,
                    repeat=repeat,
                    group=group,
                    protocol=protocol.name,
                    metric=metric,
                    value=score.value,
                    n=score.n,
                    groups=len(environments) if group.startswith(WORST) else None,
                    undefined=_undefined(environments, metric) if group.startswith(WORST) else None,
                )
                for group, by_metric in scores.items()
                for metric, score in by_metric.items()
            ]
    return records


def _check_rows(predictions: Predictions, dataset: Dataset) -> None:
    rows = predictions.rows
    fits = len(rows) > 0 and rows.min() >= 0 and rows.max() < len(dataset)
    fits = fits and np.array_equal(dataset.columns["id"].values[rows].astype(str), predictions.ids)
    fits = fits and np.array_equal(dataset.target.numpy()[rows], predictions.target)
    if not fits or predictions.output.shape[3] != dataset.task.outputs:
        raise RunError(
            f"the predictions of scenario {predictions.scenario!r} do not belong to the rows or labels of "
            f"{dataset.name!r}; delete the run's folder 'predictions' and evaluate it again"
        )


def _by_group(
    output: np.ndarray, predictions: Predictions, dataset: Dataset, protocol: Protocol
) -> dict[str, dict[str, Score]]:
    """Group name → scores: one group per environment among the rows, then the worst environment of each metric."""
    numbers, labels = dataset.groups(*dataset.environment)
    group = numbers.numpy()[predictions.rows]
    scores = {
        labels[number]: protocol.score(output[group == number], predictions.target[group == number])
        for number in np.unique(group).tolist()
    }
    first = next(iter(scores.values()))
    worst = {metric: _worst([by_metric[metric] for by_metric in scores.values()], protocol, metric) for metric in first}
    return scores | {f"{WORST}{', '.join(dataset.environment)})": worst}


def _undefined(environments: Sequence[Mapping[str, Score]], metric: str) -> int:
    """Number of environments that do not define a metric."""
    return sum(by_metric[metric].value is None for by_metric in environments)


def _worst(scores: list[Score], protocol: Protocol, metric: str) -> Score:
    """The worst defined score; undefined where none is defined. Records count what it passes over."""
    defined = [score for score in scores if score.value is not None]
    if not defined:
        return Score(None, 0)
    sign = 1 if protocol.metrics[metric].higher_is_better else -1
    return min(defined, key=lambda score: sign * (score.value or 0.0))
