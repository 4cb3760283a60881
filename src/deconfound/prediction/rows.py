"""Rows to predict, brought into the shapes that a run was trained on. Names, shapes and values are all checked.

A line of JSON lines is one row: `{"id": "a", "text": [[0.1, 0.2], [0.3, 0.4]], "audio": [1.0, 2.0, 3.0]}`.

- "id" is text or an integer; without it the row's id is its line number. A "target" is ignored, and so
  is the column of the labels of training, with a note.
- Every other key is a modality of the run. A modality that is left out, null or an empty list is absent in that row.
- A sequence is a list of 1 to T steps. A shorter one is padded; a longer one is refused, because the run was trained on
  none longer. A modality of one step may be written without the list around it.
- Values are numbers; NaN and infinity are refused. A `null` among the numbers of a step is a feature without a value: it
  is set to the mean that training kept for it.
- A modality that the run read from raw samples is a text, or the path of a file beside the JSON lines; its key may also be
  the column of the training table.
- A modality of several columns is an object of them, `{"record": {"age": 41, "city": "Rome"}}`, or its columns are keys of
  the line itself. A column that is left out or null has no value.
- A step may have the features that the run's data had when they were read, those that were left out among them.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.datasets.repair import Repair
from deconfound.datasets.tabular.encoding import KIND
from deconfound.errors import DataError, did_you_mean
from deconfound.io.limits import NAME_LENGTH, is_name
from deconfound.io.reading import FileKind, check_regular, reading
from deconfound.prediction.conform import absent, expectation, unknown_modality

if TYPE_CHECKING:
    from deconfound.prediction.raw_rows import Preparations

Row = dict[str, np.ndarray | str | dict[str, Any]]
"""Modality → its array, the text or path of a raw sample, or column → cell of a table."""

Rows = tuple[list[str], dict[str, Signal]]
"""B ids, and modality name → `Signal` of B rows."""


class TargetNote(UserWarning):
    """A row to predict holds a label, which is ignored."""


_BYTES_PER_NUMBER, _BYTES_BESIDE = 64, 1 << 20


def read_jsonl(
    source: str | Path | IO[bytes],
    modalities: Mapping[str, Modality],
    chunk: int = 256,
    repairs: Mapping[str, Repair] | None = None,
    preparations: Preparations | None = None,
    target: str | Sequence[str] | None = None,
    beside: Sequence[str] = (),
) -> Iterator[Rows]:
    """Rows of a file of JSON lines, or of an open binary stream, `chunk` of them at a time.

    Args:
        repairs: modality → what training did with values that are not finite.
        preparations: modality → how the raw samples of training were read.
        target: column or columns of the labels of training.
        beside: further keys that a line may hold, such as the speaker that scales it.

    Raises:
        DataError: the file cannot be read, or a line breaks the rules above.
    """
    targets = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    if not isinstance(source, str | Path):
        form = _Form(modalities, repairs or {}, preparations or {}, Path.cwd(), targets, tuple(beside))
        yield from _chunks(source, "standard input", form, chunk)
        return
    kind = FileKind("rows", DataError, "name a file of JSON lines that you may read", math.inf)
    check_regular(source, kind)
    with reading(source, kind):
        file = open(source, "rb")  # noqa: SIM115 (closed below; only its opening may fail here)
    with file:
        form = _Form(modalities, repairs or {}, preparations or {}, Path(source).parent, targets, tuple(beside))
        yield from _chunks(file, str(source), form, chunk)


@dataclass(frozen=True)
class _Form:
    """What a line may hold: arrays of the modalities, or raw samples, whose paths stay in a folder."""

    modalities: Mapping[str, Modality]
    repairs: Mapping[str, Repair]
    preparations: Preparations
    folder: Path
    targets: tuple[str, ...]
    beside: tuple[str, ...]

    def name_of(self, key: str) -> str:
        """The modality that a key names: its own name, or the column that its samples had in training."""
        if key in self.modalities:
            return key
        columns = {
            column: name
            for name, note in self.preparations.items()
            for column in (note["columns"] if note["kind"] == KIND else [note["column"]])
        }
        return columns.get(key, key)


def _chunks(file: IO[bytes], name: str, form: _Form, chunk: int) -> Iterator[Rows]:
    parsed = _lines(file, name, form)
    while rows := list(islice(parsed, chunk)):
        ids, values = [row_id for row_id, _ in rows], [value for _, value in rows]
        yield ids, {name: _column(name, [row.get(name) for row in values], form, ids) for name in form.modalities}


def _column(
    name: str, values: Sequence[np.ndarray | str | dict[str, Any] | None], form: _Form, ids: Sequence[str]
) -> Signal:
    """B rows of one modality."""
    modality = form.modalities[name]
    if name not in form.preparations:
        return _stack([value for value in values if not isinstance(value, str | dict)], modality)
    from deconfound.prediction.raw_rows import prepared, tabular  # loads what reads raw samples

    if form.preparations[name]["kind"] == KIND:
        rows = [value if isinstance(value, dict) else {} for value in values]
        note = form.preparations[name]
        return tabular(name, {column: [row.get(column) for row in rows] for column in note["columns"]}, note, ids)
    texts = [value if isinstance(value, str) else None for value in values]
    signal = prepared(name, texts, form.preparations[name], form.folder, ids)
    return absent(modality, len(values)) if signal is None else signal


def _lines(file: IO[bytes], name: str, form: _Form) -> Iterator[tuple[str, Row]]:
    repairs = form.repairs
    widths = {
        m: max(int(np.prod(f.shape)), repairs[m].width if m in repairs else 0) for m, f in form.modalities.items()
    }
    numbers = sum(modality.steps * widths[name] for name, modality in form.modalities.items())
    limit = _BYTES_BESIDE + _BYTES_PER_NUMBER * numbers
    number, noted = 0, False
    while line := _next_line(file, limit, name):
        number += 1
        place = f"{name} line {number}"
        if len(line) > limit:
            raise DataError(f"{place} has more than {limit} bytes; {expectation(form.modalities)}, one row a line")
        if line.strip():
            values = _object(line, place, form.modalities)
            held = next((name for name in form.targets if name in values and name not in form.modalities), None)
            if not noted and held is not None:
                warnings.warn(f"{place}: {held!r} is the target of the run; it is ignored", TargetNote, stacklevel=2)
                noted = True
            yield _row(values, place, number, form)


def _next_line(file: IO[bytes], limit: int, name: str) -> bytes:
    try:
        return file.readline(limit + 1)
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}; give rows that you may read") from error


def _object(line: bytes, place: str, modalities: Mapping[str, Modality]) -> dict[str, Any]:
    try:
        values: Any = json.loads(line.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:160] or type(error).__name__
        raise DataError(f"{place} is not JSON ({reason}); write one object a line") from error
    if not isinstance(values, dict):
        raise DataError(f'{place} is not a JSON object; write {{"id": …, "{next(iter(modalities))}": …}}')
    return values


def _row(values: Mapping[str, Any], place: str, number: int, form: _Form) -> tuple[str, Row]:
    modalities = form.modalities
    row_id = values.get("id", number)
    if not isinstance(row_id, str | int) or isinstance(row_id, bool) or not is_name(str(row_id)):
        raise DataError(
            f"{place}: an id must be text of at most {NAME_LENGTH} characters or an integer, not {repr(row_id)[:80]}"
        )
    arrays: Row = {}
    for key, value in values.items():
        name = form.name_of(key)
        if name in ("id", "target", *form.targets, *form.beside) and name not in modalities:
            continue
        if name not in modalities:
            raise DataError(f"{place}: {unknown_modality(name, modalities)}")
        if name in form.preparations and form.preparations[name]["kind"] == KIND:
            cells = _cells(key, value, name, form, place)
            if any(cell is not None for cell in cells.values()):
                before = arrays.get(name)
                arrays[name] = {**before, **cells} if isinstance(before, dict) else cells
        elif name in form.preparations:
            if value is not None and value != "":
                arrays[name] = _sample(value, name, form, place)
        elif value is not None and value != []:
            arrays[name] = _array(value, modalities[name], place, form.repairs.get(name))
    if not arrays:
        raise DataError(f"{place} has no modality at all; {expectation(modalities)}")
    return str(row_id), arrays


def _cells(key: str, value: object, name: str, form: _Form, place: str) -> dict[str, Any]:
    """Column → cell, of an object of columns or of one column."""
    columns = form.preparations[name]["columns"]
    if key in columns and not isinstance(value, dict):
        return {key: value}
    row = {} if value is None else value
    if not isinstance(row, dict):
        raise DataError(f"{place}: {name!r} must be an object of {', '.join(columns)}; got {repr(value)[:40]}")
    unknown = next((column for column in row if column not in columns), None)
    if unknown is not None:
        raise DataError(f"{place}: {name!r} has no column {unknown[:80]!r}{did_you_mean(unknown[:80], columns)}")
    return row


def _sample(value: object, name: str, form: _Form, place: str) -> str:
    if not isinstance(value, str):
        kind = form.preparations[name]["kind"]
        raise DataError(
            f"{place}: {name!r} must be {'a text' if kind == 'text' else f'the path of a file of {kind}'}, not "
            f"{repr(value)[:40]}; the run was trained on such samples"
        )
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


def _array(value: object, modality: Modality, place: str, repair: Repair | None) -> np.ndarray:
    """(t, *F) float32 or int64 with 1 ≤ t ≤ T."""
    expected = expectation({modality.name: modality})
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError, OverflowError) as error:
        raise DataError(f"{place}: {modality.name!r} is not a regular array; {expected}") from error
    tokens = modality.kind == "tokens"
    if repair is not None:
        array = _repaired(array, modality, place, repair)
    if array.dtype.kind not in ("i" if tokens else "iuf"):
        raise DataError(f"{place}: {modality.name!r} must hold {'integers' if tokens else 'numbers'} only; {expected}")
    shape = "×".join(map(str, array.shape)) or "of one number"
    if modality.steps == 1 and array.ndim == len(modality.shape):
        array = array[None]
    if array.shape[1:] != modality.shape or array.ndim == 0 or not 1 <= len(array) <= modality.steps:
        raise DataError(f"{place}: {modality.name!r} has shape {shape}; {expected}")
    with np.errstate(over="ignore"):
        return array.astype(np.int64 if tokens else np.float32)


def _repaired(array: np.ndarray, modality: Modality, place: str, repair: Repair) -> np.ndarray:
    """The array with the features of the run, where it has those that the data had when they were read."""
    if array.shape[-1:] != (repair.width,) or array.ndim > 2 or array.dtype.kind not in "iufO":
        return array
    try:
        with np.errstate(over="ignore"):
            steps = array.astype(np.float32).reshape(1, -1, repair.width)
    except (TypeError, ValueError, OverflowError):
        return array
    inside = np.ones(steps.shape[:2], dtype=bool)
    if not repair.masked(steps, inside).all():
        raise DataError(
            f"{place}: a step of {modality.name!r} has no value in more than half of its features; leave it out"
        )
    return repair.filled(steps, inside)[0]


def _stack(arrays: Sequence[np.ndarray | None], modality: Modality) -> Signal:
    signal = absent(modality, len(arrays))
    values, mask = signal.values.numpy(), signal.mask.numpy()  # views: filling them fills the new signal
    for row, array in enumerate(arrays):
        if array is not None:
            values[row, : len(array)] = array
            mask[row, : len(array)] = True
    return signal
