"""Rows of a table counted by the values of the four roles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.causal.graph import Graph
from deconfound.datasets.manifest import as_metadata, read_manifest, texts
from deconfound.errors import DataError, did_you_mean

MAX_LEVELS = 50
MAX_CELLS = 100_000
_MISSING = ("NAType", "NaTType")
"""Pandas' marks of a missing value, which cannot be compared."""


@dataclass(frozen=True)
class Counts:
    """How often each combination of values occurs.

    Args:
        cells: (X, Z, Y, A) numbers of rows.
        levels: the values along each axis, by the letter x, z, y or a, as text; of "a" the combinations that occur.
        codes: (N,) place of each row in the flattened cells.
        clusters: (N,) numbers 0 … G − 1 of rows that belong together, or None where each row stands alone.
    """

    cells: np.ndarray
    levels: Mapping[str, tuple[str, ...]]
    codes: np.ndarray
    clusters: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """N."""
        return len(self.codes)


def count_rows(
    samples: Mapping[str, Sequence[Any] | np.ndarray] | np.ndarray, graph: Graph, clusters: str | None = None
) -> Counts:
    """Count rows by the roles of a graph.

    Args:
        samples: column → N values, texts or numbers; or (N, 3 + auxiliary) integers, the treatment, mediator, outcome
            and auxiliary nodes in this order. Columns beyond the roles are left out.
        clusters: the column whose equal values mark rows that belong together, such as a speaker.

    Raises:
        DataError: a column or value missing, columns of different lengths, more than `MAX_LEVELS` values, a role with a
            single value, or more than `MAX_CELLS` combinations.
    """
    roles = {"x": graph.treatment, "z": graph.mediator, "y": graph.outcome}
    names = (*roles.values(), *graph.auxiliary)
    columns = _named(samples, names)
    coded = {name: _levels(columns, name) for name in names}
    together = None if clusters is None else np.unique(texts(_values(columns, clusters)), return_inverse=True)[1]
    lengths = {name: len(codes) for name, (_, codes) in coded.items()}
    lengths |= {} if clusters is None or together is None else {clusters: len(together)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"the columns have different lengths: {told}; give one value per row")
    levels = {letter: coded[node][0] for letter, node in roles.items()}
    for letter, node in roles.items():
        if len(levels[letter]) < 2:
            raise DataError(f"the column {node!r} has the single value {levels[letter][0]!r}; a role needs two or more")
    levels["a"], beside = _combinations(graph.auxiliary, coded, len(coded[graph.treatment][1]))
    shape = [len(levels[letter]) for letter in "xzya"]
    if math.prod(shape) > MAX_CELLS:
        raise DataError(
            f"the roles have {'×'.join(map(str, shape))} combinations of values; at most {MAX_CELLS} are taken: "
            "merge rare values"
        )
    codes = np.ravel_multi_index([*(coded[node][1] for node in roles.values()), beside], shape)
    cells = np.bincount(codes, minlength=math.prod(shape)).reshape(shape)
    return Counts(cells, levels, codes, together)


def read_counts(path: str | Path, graph: Graph, clusters: str | None = None) -> Counts:
    """Count the rows of a .csv, .jsonl or .parquet file with a column per role.

    Raises:
        DataError: the file cannot be read or is damaged, or what `count_rows` refuses.
    """
    try:
        return count_rows(read_manifest(Path(path)), graph, clusters)
    except DataError as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: {text}") from error


def _named(
    samples: Mapping[str, Sequence[Any] | np.ndarray] | np.ndarray, names: tuple[str, ...]
) -> Mapping[str, Sequence[Any] | np.ndarray]:
    if not isinstance(samples, np.ndarray):
        return samples
    if samples.ndim != 2 or samples.shape[1] != len(names) or samples.dtype.kind not in "iu":
        raise DataError(
            f"samples are (N, {len(names)}) integers for {', '.join(names)}; got {samples.dtype} of {samples.shape}"
        )
    return dict(zip(names, samples.T, strict=True))


def _values(columns: Mapping[str, Sequence[Any] | np.ndarray], name: str) -> list[Any]:
    if name not in columns:
        raise DataError(f"the table has no column {name!r}{did_you_mean(name, [str(key) for key in columns])}")
    found = columns[name]
    values = [value.item() if isinstance(value, np.generic) else value for value in found]
    for row, value in enumerate(values, start=1):
        if value is None or type(value).__name__ in _MISSING or value == "" or value != value:
            raise DataError(
                f"row {row} has no value in the column {name!r}; leave the row out, or write a value such as 'none'"
            )
    return values


def _levels(columns: Mapping[str, Sequence[Any] | np.ndarray], name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted values of a column as text, and (N,) places among them."""
    given = columns.get(name)
    whole = isinstance(given, np.ndarray) and given.dtype.kind in "iu"
    values = np.asarray(given) if whole else as_metadata(_values(columns, name))
    if not len(values):
        raise DataError("the table has no rows")
    found, codes = np.unique(values, return_inverse=True)
    if len(found) > MAX_LEVELS:
        advice = "bin it, for example into its quartiles" if values.dtype != object else "merge them into fewer"
        raise DataError(
            f"the column {name!r} has {len(found)} different values; at most {MAX_LEVELS} are taken: {advice}"
        )
    return tuple(texts(found.tolist())), codes


def _combinations(
    nodes: tuple[str, ...], coded: Mapping[str, tuple[tuple[str, ...], np.ndarray]], rows: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels of the combinations that occur, and (N,) places among them; one of them without auxiliary nodes."""
    if not nodes:
        return ("",), np.zeros(rows, dtype=np.int64)
    labels, codes = [""], np.zeros(rows, dtype=np.int64)
    for node in nodes:
        values, places = coded[node]
        found, codes = np.unique(codes * len(values) + places, return_inverse=True)
        labels = [f"{labels[k // len(values)]}, {node}={values[k % len(values)]}".removeprefix(", ") for k in found]
    return tuple(labels), codes
