"""Rows of a table counted by the values of the four roles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.causal.graph import Graph
from deconfound.data.missing_words import MISSING, folded, is_missing
from deconfound.datasets.manifest import as_metadata, read_manifest, texts
from deconfound.errors import DataError, did_you_mean

MAX_LEVELS = 50
MAX_CELLS = 100_000


@dataclass(frozen=True)
class Counts:
    """How often each combination of values occurs.

    Args:
        cells: (X, Z, Y, A) numbers of rows.
        levels: axis letter x, z, y or a → its values as text; for a, the combinations that occur.
        codes: (N,) index of each row's cell in the flattened cells.
        clusters: (N,) cluster of each row, 0 … G − 1, or None if rows are independent.
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
    samples: Mapping[str, Sequence[Any] | np.ndarray] | np.ndarray,
    graph: Graph,
    clusters: str | None = None,
    *,
    missing: Sequence[str] = MISSING,
) -> Counts:
    """Count rows by the roles of a graph.

    Args:
        samples: column → N values, texts or numbers; or (N, 3 + auxiliary) integers, the treatment, mediator, outcome
            and auxiliary nodes in this order. Other columns are ignored.
        clusters: the column whose equal values mark rows that belong together, such as a speaker.
        missing: words that mean "no value", whatever their case; the empty text always does.

    Raises:
        DataError: a column or value missing, columns of different lengths, more than `MAX_LEVELS` values, a role with a
            single value, or more than `MAX_CELLS` combinations.
    """
    roles = {"x": graph.treatment, "z": graph.mediator, "y": graph.outcome}
    names = (*roles.values(), *graph.auxiliary)
    columns = _named(samples, names)
    words = folded(missing)
    coded = {name: _levels(columns, name, words) for name in names}
    cluster_codes = (
        None if clusters is None else np.unique(texts(_values(columns, clusters, words)), return_inverse=True)[1]
    )
    lengths = {name: len(codes) for name, (_, codes) in coded.items()}
    lengths |= {} if clusters is None or cluster_codes is None else {clusters: len(cluster_codes)}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"the columns have different lengths: {listing}; give one value per row")
    levels = {letter: coded[node][0] for letter, node in roles.items()}
    for letter, node in roles.items():
        if len(levels[letter]) < 2:
            raise DataError(
                f"the column {node!r} has the single value {levels[letter][0]!r}; a role needs two or more: "
                "choose another column"
            )
    levels["a"], strata = _combinations(graph.auxiliary, coded, len(coded[graph.treatment][1]))
    shape = [len(levels[letter]) for letter in "xzya"]
    if math.prod(shape) > MAX_CELLS:
        raise DataError(
            f"the roles have {'×'.join(map(str, shape))} combinations of values; at most {MAX_CELLS} are allowed; "
            "merge rare values"
        )
    codes = np.ravel_multi_index([*(coded[node][1] for node in roles.values()), strata], shape)
    cells = np.bincount(codes, minlength=math.prod(shape)).reshape(shape)
    return Counts(cells, levels, codes, cluster_codes)


def read_counts(
    path: str | Path, graph: Graph, clusters: str | None = None, *, missing: Sequence[str] = MISSING
) -> Counts:
    """Count the rows of a .csv, .jsonl or .parquet file with a column per role; the arguments are those of `count_rows`.

    Raises:
        DataError: the file cannot be read or is damaged, or what `count_rows` refuses.
    """
    try:
        return count_rows(read_manifest(Path(path)), graph, clusters, missing=missing)
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


def _values(columns: Mapping[str, Sequence[Any] | np.ndarray], name: str, missing: frozenset[str]) -> list[Any]:
    if name not in columns:
        raise DataError(f"the table has no column {name!r}{did_you_mean(name, [str(key) for key in columns])}")
    values = [value.item() if isinstance(value, np.generic) else value for value in columns[name]]
    gaps = [row for row, value in enumerate(values) if is_missing(value, missing)]
    if gaps:
        word = values[gaps[0]]
        holds = f"it holds {word!r}; " if isinstance(word, str) and word.strip() else ""
        raise DataError(
            f"row {gaps[0] + 1} has no value in the column {name!r} ({holds}{len(gaps)} of {len(values)} rows have "
            "none); leave these rows out, write a value such as 'unknown', or name other words with missing"
        )
    return values


def _levels(
    columns: Mapping[str, Sequence[Any] | np.ndarray], name: str, missing: frozenset[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted values of a column as text, and the (N,) index of each row's value."""
    column = columns.get(name)
    integers = isinstance(column, np.ndarray) and column.dtype.kind in "iu"
    values = np.asarray(column) if integers else as_metadata(_values(columns, name, missing))
    if not len(values):
        raise DataError("the table has no rows; give one line for each case")
    levels, codes = np.unique(values, return_inverse=True)
    if len(levels) > MAX_LEVELS:
        advice = "bin it, for example into its quartiles" if values.dtype != object else "merge them into fewer"
        raise DataError(
            f"the column {name!r} has {len(levels)} different values; at most {MAX_LEVELS} are allowed; {advice}"
        )
    return tuple(texts(levels.tolist())), codes


def _combinations(
    nodes: tuple[str, ...], coded: Mapping[str, tuple[tuple[str, ...], np.ndarray]], rows: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels of the combinations that occur, and the (N,) index of each row's; one label without auxiliary nodes."""
    if not nodes:
        return ("",), np.zeros(rows, dtype=np.int64)
    labels, codes = [""], np.zeros(rows, dtype=np.int64)
    for node in nodes:
        values, value_codes = coded[node]
        combinations, codes = np.unique(codes * len(values) + value_codes, return_inverse=True)
        labels = [
            f"{labels[k // len(values)]}, {node}={values[k % len(values)]}".removeprefix(", ") for k in combinations
        ]
    return tuple(labels), codes
