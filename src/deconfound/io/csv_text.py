"""CSV that a spreadsheet can open: no cell is a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from typing import IO, Any

RAW_HELP = "Write the texts of CSV as they are; by default none is a formula for a spreadsheet."
_ACTIVE = re.compile("[\\s\x00-\x20\ufeff]*[=+\\-−@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+\-−]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def defuse(value: Any) -> Any:
    """A cell that no spreadsheet computes: a text that begins with = + − @ tab or CR gets a leading apostrophe.

    White space before such a letter does not hide it. Numbers stay numbers, also those that are texts.
    """
    if not isinstance(value, str) or not _ACTIVE.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def csv_row_writer(file: IO[str], *, raw: bool = False) -> Callable[[Iterable[Any]], None]:
    """A function that writes one row.

    Args:
        raw: write texts as they are, for programs.
    """

    def write(row: Iterable[Any]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(row if raw else [defuse(value) for value in row])
        # with "\n" as the end of lines, Python 3.11 leaves a carriage return in a cell unquoted, and readers end the row
        file.write(line.getvalue().removesuffix("\r\n") + "\n")

    return write
