"""`Record`: one metric of one run on one set of rows; `records.jsonl` holds one JSON object per line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.errors import RunError
from deconfound.files import whole_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Record:
    """One metric value.

    Args:
        run: name of the run.
        method: name of the method.
        dataset: name of the corpus.
        seed: of the training.
        scenario: such as "test-flip" or "gaussian".
        split: the split that the rows are from.
        severity: of the corruption, 0 for none.
        repeat: number of the draw of the damage, from 0.
        group: "all", one environment ("speaker=anna"), or "worst(speaker)", the worst of these by this metric.
        protocol: that defines the metric.
        metric: such as "mae".
        value: shares and target units; None where the metric is undefined on these rows.
        n: rows that the value is about.
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


_FIELDS = tuple(field.name for field in fields(Record))
_NUMBER = (int, float)
_KINDS: dict[str, tuple[type, ...]] = {
    "seed": (int,),
    "severity": _NUMBER,
    "repeat": (int,),
    "value": (*_NUMBER, type(None)),
    "n": (int,),
}


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write all records as JSON lines, whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    with whole_file(path) as file:
        for record in records:
            file.write(json.dumps(asdict(record), ensure_ascii=False, allow_nan=False) + "\n")


def read_records(path: str | Path) -> list[Record]:
    """Read JSON lines; a file that is not there holds no record.

    Raises:
        RunError: the file cannot be read or a line is not a record.
    """
    try:
        lines = Path(path).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    return [_record(line, f"{path} line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _record(line: bytes, place: str) -> Record:
    try:
        given: Any = json.loads(line)
        if not isinstance(given, dict) or set(given) != set(_FIELDS):
            raise ValueError("other fields than a record has")
        for name in _FIELDS:
            _check(name, given[name])
        return Record(**given)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{place} is not a record ({error}); remove the file and evaluate the run again") from error


def _check(name: str, value: object) -> None:
    wanted = _KINDS.get(name, (str,))
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, wanted) or isinstance(value, bool) or not finite:
        raise ValueError(f"{name} is {value!r}")


def merged(before: Sequence[Record], after: Sequence[Record]) -> list[Record]:
    """The earlier records of all scenarios that `after` does not have, then `after`."""
    fresh = {record.scenario for record in after}
    return [record for record in before if record.scenario not in fresh] + list(after)


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record, one column per field; an undefined value is NaN."""
    import pandas as pd

    table = pd.DataFrame([asdict(record) for record in records], columns=list(_FIELDS))
    return table.astype({"value": float, "severity": float})
