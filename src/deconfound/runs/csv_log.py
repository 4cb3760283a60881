"""The log of a run: every loss term of every epoch as `step,epoch,split,term,value` rows."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from deconfound.errors import RunError
from deconfound.io.limits import LINES
from deconfound.io.reading import FileKind, read_text, reading

_FILE = FileKind("log", RunError, "train again", LINES)
HEADER = ("step", "epoch", "split", "term", "value")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log, with numbers parsed; a last row that a kill cut short is left out.

    Raises:
        RunError: the file is missing, damaged or not such a log.
    """
    text = read_text(path, _FILE)
    reader = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    with reading(path, _FILE):
        header = tuple(next(reader, ()))
    if header != HEADER:
        raise RunError(f"{path} is not a log of this program; its header must be {','.join(HEADER)}")
    rows = []
    try:
        for row in reader:
            if len(row) != len(HEADER):
                raise ValueError(f"{len(row)} fields instead of {len(HEADER)}")
            rows.append(
                {"step": int(row[0]), "epoch": int(row[1]), "split": row[2], "term": row[3], "value": float(row[4])}
            )
    except (ValueError, csv.Error) as error:
        reason = str(error)[:160]
        raise RunError(f"{path} line {reader.line_num} is damaged ({reason}); train again") from error
    return rows
