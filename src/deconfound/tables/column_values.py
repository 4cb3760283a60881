"""Values of a column for each row of a section: one per seed and, where predictions are kept, its resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deconfound.errors import RunError, SpecError
from deconfound.evaluation.predictions import Predictions, load_predictions
from deconfound.io.files import file_stem
from deconfound.results.run_result import RunResult
from deconfound.results.sections import Row, Section
from deconfound.results.spread import mean_or_none
from deconfound.statistics import Weighted, resample
from deconfound.tables.columns import MetricColumn

Seed = tuple[str, int]
"""Label of a row, seed."""


@dataclass(frozen=True)
class ColumnValues:
    """One column, all rows.

    Args:
        values: row label → seed → value, None where it is undefined; a row that was not evaluated is not there.
        resampled: (label, seed) → (R,) values under the same resamples of rows for all; empty without predictions.
        clusters: number of clusters that were resampled, 0 without.
        rows: number of test rows, 0 if unknown.
        unit: what was resampled, "rows" or "rows in clusters of speaker"; "" for nothing.
        reason: why nothing was resampled, "" where rows were.
    """

    values: Mapping[str, Mapping[int, float | None]]
    resampled: Mapping[Seed, np.ndarray]
    clusters: int
    rows: int
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Clustering:
    """Which rows are drawn together.

    Args:
        column: metadata column; "" takes the dataset's own grouping where a store has one.
        store: where the dataset is, if it moved.
    """

    column: str = ""
    store: Path | None = None


def measure_column(
    section: Section, column: MetricColumn, resamples: int, seed: int, clustering: Clustering
) -> ColumnValues:
    """Values of all rows under a column.

    Args:
        resamples: R, 0 to take the rows as given.
        seed: of the resamples.

    Raises:
        RunError: kept predictions are damaged, of other rows than another run's, or disagree with the records.
        DataError: a column for clusters that the data do not have.
    """
    kept = _kept(section, column)
    if kept is None:
        return ColumnValues(_recorded(section, column), {}, 0, 0, "", "no predictions are kept")
    first = next(iter(kept.values()))[column.pieces[0].scenario]
    forms = {owner: _forms(column, parts) for owner, parts in kept.items()}
    point = {owner: _combine(parts, np.ones((1, len(first.rows)))) for owner, parts in forms.items()}
    values = _checked(section, column, {owner: float(value[0]) for owner, value in point.items()})
    if resamples == 0 or column.group != "all":
        why = "rows as given" if column.group == "all" else "rows of groups are not resampled"
        return ColumnValues(values, {}, 0, len(first.rows), "", why)
    clusters, unit = _clusters(section, first, clustering)
    owners = list(forms)
    joint: list[Weighted] = [lambda weights, owner=owner: _combine(forms[owner], weights) for owner in owners]
    drawn = resample(joint, clusters, resamples, np.random.default_rng(seed))
    resampled = dict(zip(owners, drawn, strict=True))
    return ColumnValues(values, resampled, int(clusters.max()) + 1, len(first.rows), unit)


def _recorded(section: Section, column: MetricColumn) -> dict[str, dict[int, float | None]]:
    """Values from the records."""
    by_label: dict[str, dict[int, float | None]] = {}
    for row in section.rows:
        for seed in row.seeds:
            parts = [_repeats(section, row, column, seed, piece.scenario, piece.severity) for piece in column.pieces]
            if not all(parts):
                continue
            means = [mean_or_none(part) for part in parts]
            known = [mean * piece.weight for mean, piece in zip(means, column.pieces, strict=True) if mean is not None]
            by_label.setdefault(row.label, {})[seed] = sum(known) if len(known) == len(means) else None
    return by_label


def _repeats(
    section: Section, row: Row, column: MetricColumn, seed: int, scenario: str, severity: float
) -> list[float | None]:
    key = (row.label, scenario, column.split, severity, column.group, column.metric)
    return [value for (owner, _), value in section.index.get(key, {}).items() if owner == seed]


def _kept(section: Section, column: MetricColumn) -> dict[Seed, dict[str, Predictions]] | None:
    """(label, seed) → scenario → predictions of the runs that were evaluated; None if any file is missing."""
    scenarios = list(dict.fromkeys(piece.scenario for piece in column.pieces))
    kept: dict[Seed, dict[str, Predictions]] = {}
    for row in section.rows:
        for run in row.runs:
            if not set(scenarios) <= {record.scenario for record in run.records if record.dataset == section.dataset}:
                continue
            files = {scenario: _file(run, scenario) for scenario in scenarios}
            if not all(file.is_file() for file in files.values()):
                return None
            kept[row.label, run.seed] = {s: load_predictions(file).of(run.variant) for s, file in files.items()}
    _check_alike(kept, scenarios)
    return kept or None


def _file(run: RunResult, scenario: str) -> Path:
    return run.directory / "predictions" / f"{file_stem(scenario)}.npz"


def _check_alike(kept: Mapping[Seed, Mapping[str, Predictions]], scenarios: Sequence[str]) -> None:
    """Refuse to pair predictions of different rows or different corruptions."""
    owners = list(kept)
    for scenario in scenarios:
        for owner in owners[1:]:
            a, b = kept[owners[0]][scenario], kept[owner][scenario]
            same = (a.definition, a.seed) == (b.definition, b.seed) and np.array_equal(a.ids, b.ids)
            if not same or not np.array_equal(a.target, b.target):
                raise RunError(
                    f"scenario {scenario!r} of {owners[0][0]} (seed {owners[0][1]}) and {owner[0]} (seed {owner[1]}) "
                    "is about other rows or another corruption; evaluate both with the same scenarios"
                )
    for owner, parts in kept.items():
        lengths = {part.ids.tobytes() for part in parts.values()}
        if len(lengths) > 1:
            raise RunError(
                f"the scenarios {', '.join(scenarios)} of {owner[0]} are about different rows; show them apart"
            )


def _forms(column: MetricColumn, parts: Mapping[str, Predictions]) -> list[tuple[float, Weighted]]:
    """(weight, weighted metric) of every piece and repeat."""
    weighted_metrics: list[tuple[float, Weighted]] = []
    for piece in column.pieces:
        kept = parts[piece.scenario]
        at = np.flatnonzero(kept.severities == piece.severity)
        if len(at) != 1:
            raise RunError(f"the predictions of {piece.scenario!r} lack severity {piece.severity:g}; evaluate again")
        repeats = kept.output[at[0]]  # (repeats, N, outputs)
        weighted_metrics += [
            (piece.weight / len(repeats), column.measure.weighted(output, kept.target)) for output in repeats
        ]
    return weighted_metrics


def _combine(parts: Sequence[tuple[float, Weighted]], weights: np.ndarray) -> np.ndarray:
    """(R,) values of a column under (R, N) row weights."""
    total = np.zeros(len(weights))
    for weight, metric in parts:
        total += weight * metric(weights)
    return total


def _checked(
    section: Section, column: MetricColumn, points: Mapping[Seed, float]
) -> dict[str, dict[int, float | None]]:
    """The recorded values, after a look whether the predictions say the same; computed ones where none are recorded."""
    if column.metric not in section.protocol.metrics:
        computed: dict[str, dict[int, float | None]] = {}
        for (label, seed), value in points.items():
            computed.setdefault(label, {})[seed] = None if np.isnan(value) else value
        return computed
    recorded = _recorded(section, column)
    for (label, seed), value in points.items():
        known = recorded.get(label, {}).get(seed)
        same = np.isnan(value) if known is None else bool(np.isclose(value, known, rtol=1e-4, atol=1e-6))
        if column.group == "all" and not same:
            raise RunError(
                f"{label} (seed {seed}): the predictions give {column.title} = {value:.6g}, the records "
                f"{known}; remove records.jsonl and evaluate the run again"
            )
    return recorded


def _clusters(section: Section, kept: Predictions, clustering: Clustering) -> tuple[np.ndarray, str]:
    """(N,) cluster of each row, numbered without gaps, and what the clusters are."""
    singly = np.arange(len(kept.rows))
    run = section.rows[0].runs[0]
    in_memory = section.trained_here and not run.spec.get("data", {}).get("store")
    if not section.checksum or (in_memory and not (clustering.store or clustering.column)):
        return singly, "rows"
    try:
        numbers, column = _grouping(run, section, clustering)
    except RunError:
        if clustering.column:
            raise
        return singly, "rows, taken as independent since the store is not at hand"
    if not column:
        return singly, "rows"
    return np.unique(numbers[kept.rows], return_inverse=True)[1], f"rows in clusters of {column}"


def _grouping(run: RunResult, section: Section, clustering: Clustering) -> tuple[np.ndarray, str]:
    """Group number of every row of the dataset, and its column; the coarsest of the dataset's own if none is named."""
    from deconfound.data.store import open_verified
    from deconfound.errors import DataError, StoreError
    from deconfound.runs.run import Run

    try:
        data = None if clustering.store is None else open_verified(clustering.store)
        if data is None or data.checksum != section.checksum:
            if not section.trained_here:
                raise DataError(f"no store with the checksum {section.checksum[:12]} is at hand; name it with --store")
            data = Run.open(run.home).dataset()
    except (StoreError, DataError, SpecError) as error:
        raise RunError(
            f"the dataset {section.dataset} is needed for its clusters: {error}; name it with --store"
        ) from error
    names = [clustering.column] if clustering.column else list(data.group)
    if not names:
        return np.empty(0, dtype=np.int64), ""
    numbered = {name: data.groups(name)[0].numpy() for name in names}
    column = min(numbered, key=lambda name: int(numbered[name].max()))
    return numbered[column], column
