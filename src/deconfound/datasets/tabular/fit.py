"""Learning how to read the columns of a table from its training rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconfound.data.missing_words import MISSING, folded
from deconfound.data.signal import Signal
from deconfound.datasets.frames import Column
from deconfound.datasets.tabular.cells import Cell, category_name, cells, is_date
from deconfound.datasets.tabular.encoding import (
    KIND,
    CategoryColumn,
    NumberColumn,
    TabularColumn,
    TabularEncoding,
)
from deconfound.errors import DataError, did_you_mean

MOST_CATEGORIES = 100
"""Categories of a column that have a column of their own, the most frequent ones, unless the table says another number."""
IDLIKE = 0.5
"""Share of the rows from which on different texts are taken for names of the rows, where there are more than 20."""
_FEW = 20
_WRITTEN_NUMBER = re.compile(r"[-+]?[€$£]?\s?\d[\d.,' ]*\s?[%€$£\w]{0,4}")


@dataclass(frozen=True)
class TabularOptions:
    """How to read the columns where their values do not say it.

    Args:
        categorical: columns of categories, whatever they hold, such as numbers of regions.
        most_categories: categories of a column that have a column of their own; all others share one.
        missing: words for no value.
    """

    categorical: tuple[str, ...] = ()
    most_categories: int = MOST_CATEGORIES
    missing: tuple[str, ...] = MISSING


DEFAULTS = TabularOptions()


def tabular_signal(
    table: Mapping[str, Column], train: np.ndarray, options: TabularOptions, what: str, ids: Sequence[str]
) -> tuple[Signal, dict[str, Any]]:
    """N rows as vectors, read as their training rows say.

    Args:
        table: column → N values.
        train: (N,) bool: the training rows.
        what: the modality, for errors.
        ids: N names of the rows.

    Returns:
        N rows, and notes as JSON values: under "preparation" what new rows need in order to be read alike, "idlike": columns
        that number the rows, "left_out": column → reason, "missing": column → rows, and "unknown": column → rows with a
        category without a column of its own.

    Raises:
        DataError: a column that the options name and the table lacks, one of dates or of names of the rows, one that mixes
            texts and numbers, or no column that varies in the training rows.
    """
    odd = next((name for name in options.categorical if name not in table), None)
    if odd is not None:
        raise DataError(f"{what}: categorical names {odd!r}, which is none of its columns{did_you_mean(odd, table)}")
    words = folded(options.missing)
    read = {name: cells(values, words, f"{what}: {name!r}") for name, values in table.items()}
    columns: list[TabularColumn] = []
    left_out: dict[str, str] = {}
    for name, column in read.items():
        known = [cell for cell, chosen in zip(column, train.tolist(), strict=True) if chosen]
        fitted = _fit(name, known, options, what)
        if isinstance(fitted, str):
            left_out[name] = fitted
        else:
            columns.append(fitted)
    if not columns:
        raise DataError(f"{what}: no column varies in the training rows ({left_out}); leave the modality out")
    encoding = TabularEncoding(tuple(columns), options.missing)
    gaps = {name: column.count(None) for name, column in read.items() if None in column}
    unknown = {
        column.name: column.unseen(read[column.name]) for column in columns if isinstance(column, CategoryColumn)
    }
    note = {"kind": KIND, "columns": encoding.names, "encoding": encoding.to_json(), "features": encoding.features}
    idlike = [c.name for c in columns if isinstance(c, NumberColumn) and _numbers_rows(read[c.name])]
    counts: dict[str, Any] = {
        "idlike": idlike,
        "left_out": left_out,
        "missing": gaps,
        "unknown": {name: rows for name, rows in unknown.items() if rows},
    }
    return encoding.encode(table, what, ids), {**counts, "preparation": note}


def table_line(note: Mapping[str, Any]) -> str:
    """One line about how columns were read: "age number, city 5 categories, plan 2 categories; id left out: ..."."""
    parts = []
    for column in note["preparation"]["encoding"]["columns"]:
        kind = f"{len(column['categories'])} categories" if "categories" in column else "number"
        gaps = note.get("missing", {}).get(column["name"])
        unknown = note.get("unknown", {}).get(column["name"])
        counts = [f"{gaps} missing"] if gaps else []
        counts += [f"{unknown} others"] if unknown else []
        parts.append(f"{column['name']} {kind}{' (' + ', '.join(counts) + ')' if counts else ''}")
    left_out = [f"{name} is left out, because {reason}" for name, reason in note.get("left_out", {}).items()]
    ids = [f"{name} holds another whole number in each row, as ids do" for name in note.get("idlike", ())]
    return "; ".join([f"columns {', '.join(parts)}", *left_out, *ids])


def _fit(name: str, known: Sequence[Cell], options: TabularOptions, what: str) -> TabularColumn | str:
    """What the training rows say of a column, or why it is left out."""
    present = [cell for cell in known if cell is not None]
    gaps = len(present) < len(known)
    if not present:
        return "it has no value in the training rows"
    if len(set(present)) == 1 and not gaps:
        return f"it is {category_name(present[0])[:40]!r} in all training rows"
    texts = [cell for cell in present if isinstance(cell, str)]
    if name in options.categorical or len(texts) == len(present):
        _check_categories(name, present, what, forced=name in options.categorical)
        return _categories(name, present, gaps, options.most_categories)
    if texts:
        raise DataError(
            f"{what}: the column {name!r} holds {len(present) - len(texts)} numbers and {len(texts)} texts, such as "
            f"{texts[0][:40]!r}; list the words for no value with missing, or name the column under categorical"
        )
    numbers = np.array(present, dtype=np.float64)
    std = float(numbers.std())
    usable = std > 1e-12 * max(1.0, float(np.abs(numbers).max()))
    return NumberColumn(name, float(numbers.mean()), std if usable else 1.0, gaps)


def _numbers_rows(column: Sequence[Cell]) -> bool:
    """Whether a column numbers its rows: whole numbers, all different, that leave at most half of their range out."""
    numbers = [cell for cell in column if isinstance(cell, float)]
    if len(numbers) <= _FEW or not all(number.is_integer() for number in numbers):
        return False
    return len(set(numbers)) == len(numbers) and max(numbers) - min(numbers) < 2 * len(numbers)


def _categories(name: str, present: Sequence[float | str], gaps: bool, most: int) -> CategoryColumn:
    counts = Counter(map(category_name, present))
    frequent = sorted(counts, key=lambda category: (-counts[category], category))[:most]
    return CategoryColumn(name, tuple(sorted(frequent)), len(counts) > most, gaps)


def _check_categories(name: str, present: Sequence[float | str], what: str, *, forced: bool) -> None:
    """Refuse what a column of categories should not hold, unless the user named it as one.

    Raises:
        DataError: dates, or names of the rows.
    """
    if forced:
        return
    if all(is_date(cell) for cell in present):
        raise DataError(
            f"{what}: the column {name!r} holds dates, such as {str(present[0])[:40]!r}; write what matters as numbers, such "
            "as the days since a day, the month or the hour, or leave the column out"
        )
    distinct = len(set(present))
    if distinct > _FEW and all(isinstance(cell, str) and _WRITTEN_NUMBER.fullmatch(cell) for cell in present):
        raise DataError(
            f"{what}: the column {name!r} holds numbers that are written as texts, such as {str(present[0])[:40]!r}; write "
            "plain numbers with a decimal point, or name the column under categorical"
        )
    if distinct > max(_FEW, IDLIKE * len(present)):
        raise DataError(
            f"{what}: the column {name!r} holds {distinct} different texts in {len(present)} training rows, such as "
            f"{str(present[0])[:40]!r}, as ids and sentences do; leave it out, make it a modality of text with column = "
            f"{name!r}, or name it under categorical"
        )
