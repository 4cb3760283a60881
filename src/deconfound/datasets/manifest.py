"""A manifest: a CSV, JSONL or Parquet file with one row per sample, read into plain columns."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.datasets.parquet import read_parquet
from deconfound.errors import DataError, did_you_mean
from deconfound.io.limits import LINES, NAME_RULE, check_cells, is_encodable, is_name, most_bytes
from deconfound.io.reading import FileKind, read_text

Values = list[Any]
"""One column: text, numbers, booleans, and None for a missing value."""

_FILE = FileKind("manifest", DataError, "save the table again, in UTF-8", LINES)
_MOST_KNOWN = 4096
"""Texts of a column that are kept once, however often they occur."""
_SCALARS = (str, int, float, bool, type(None))


def read_manifest(path: Path, header: Sequence[str] = (), files: Collection[str] = ()) -> dict[str, Values]:
    """Column name → values, all of one length; values of a CSV are text, or None if empty.

    Args:
        header: the columns of a CSV whose first line holds none of these names but is a row already.
        files: columns of a Parquet file that may hold files, as their bytes or paths.

    Raises:
        DataError: another format, an unreadable or damaged file, rows that do not match the columns, or no rows.
    """
    readers: dict[str, Callable[[Path], dict[str, Values]]] = {
        ".csv": _long_fields()(partial(_read_csv, header=header)),
        ".jsonl": _read_jsonl,
        ".parquet": lambda file: read_parquet(file, _FILE, files),
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: a manifest is a .csv, .jsonl or .parquet file; save it as one of them")
    columns = readers[path.suffix.lower()](path)
    if not columns or not next(iter(columns.values())):
        raise DataError(f"{path} has no rows; write one for each sample")
    for name, values in columns.items():
        if not is_name(name):
            raise DataError(f"{path}: the column name {name[:40]!r} is too long or not UTF-8; {NAME_RULE}")
        known = (*_SCALARS, bytes) if name in files else _SCALARS
        bad = next((value for value in values if type(value) not in known), None)
        if bad is not None:
            raise DataError(
                f"{path}: the column {name!r} holds a {type(bad).__name__}; a manifest holds one text or number a row: give "
                "features an array file and several labels a 0/1 column each; --format hugging-face reads lists of Parquet"
            )
        broken = next(
            (row for row, value in enumerate(values) if isinstance(value, str) and not is_encodable(value)), None
        )
        if broken is not None:
            raise DataError(f"{path}: {name!r} of row {broken + 1} holds half a character; write whole ones")
    return columns


def column(columns: dict[str, Values], name: str, where: Path) -> Values:
    """One column.

    Raises:
        DataError: no column has this name.
    """
    if name not in columns:
        raise DataError(f"{where} has no column {name!r}{did_you_mean(name, columns)}")
    return columns[name]


def texts(values: Sequence[Any]) -> list[str]:
    """Values as text, "" for None; 3.0 and 3 both become "3", because CSV and Parquet differ in that."""
    return ["" if v is None else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]


def numbers(values: Sequence[Any], what: str) -> np.ndarray:
    """(N,) float64, NaN for None.

    Raises:
        DataError: a text that is not a number.
    """
    result = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            result[row] = math.nan if value is None else float(value)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{what} of row {row + 1} is {str(value)[:40]!r}; expected a number") from error
    return result


def as_metadata(values: Sequence[Any]) -> np.ndarray:
    """(N,) int64, float64 or object (str): numbers only if every text is written as a number.

    "007" stays text, "7" becomes 7; a missing value makes whole numbers float64 with NaN.
    """
    parsed = [number_of(value) if isinstance(value, str) else value for value in values]
    present = [value for value in parsed if value is not None]
    if present and all(isinstance(value, bool | int | float) for value in present):
        if len(present) == len(parsed) and all(isinstance(value, int) and abs(value) < 2**63 for value in present):
            return np.array(parsed, dtype=np.int64)
        return numbers(parsed, "a column")
    return np.array(["" if value is None else str(value) for value in values], dtype=object)


def number_of(text: str) -> str | int | float:
    """The number that a text is written as, else the text: "007", "1_000" and " 7" stay texts."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        plain = text.lstrip("-")
        padded = len(plain) > 1 and plain[0] == "0" and plain[1].isdigit()
        odd = "_" in text or text != text.strip() or text.startswith("+") or not math.isfinite(value)
        return text if padded or odd or abs(value) >= 2**63 else value
    return text


@contextmanager
def _long_fields() -> Iterator[None]:
    """Cells as long as the file may be; the limit is one of the whole process."""
    before = csv.field_size_limit(most_bytes(LINES))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_csv(path: Path, header: Sequence[str]) -> dict[str, Values]:
    reader = csv.reader(io.StringIO(read_text(path, _FILE).removeprefix("\ufeff"), newline=""), strict=True)
    try:
        first = next(reader, [])
        headless = bool(header) and not set(header) & set(first)
        names = list(header[: len(first)]) if headless else first
        columns: list[Values] = [[] for _ in names]
        known: list[dict[str, str]] = [{} for _ in names]
        for row in chain([first] if headless else [], reader):
            if row and len(row) != len(names):
                raise DataError(
                    f"{path}: line {reader.line_num} has {len(row)} fields, the header {len(names)}; correct the line"
                )
            for values, once, text in zip(columns, known, row, strict=False):  # an empty line has no fields
                whole = once.setdefault(text, text) if len(once) < _MOST_KNOWN else once.get(text, text)
                values.append(whole or None)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not CSV: {error}; correct the line") from error
    if len(set(names)) != len(names):
        raise DataError(f"{path}: a column name occurs twice in the header; give each column its own")
    return dict(zip(names, columns, strict=True))


def _read_jsonl(path: Path) -> dict[str, Values]:
    content = read_text(path, _FILE)
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse_constant)
        except DataError as error:
            raise DataError(f"{path}: line {number} {error}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is not JSON; write one object with column names a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is a {type(row).__name__}; expected an object with column names")
        rows.append(row)
        names |= dict.fromkeys(row)
        check_cells(path, len(rows), len(names), len(content), DataError)
    return {name: [row.get(name) for row in rows] for name in names}


def _refuse_constant(name: str) -> None:
    raise DataError(f"holds {name}, which is not JSON; write null for a missing value")
