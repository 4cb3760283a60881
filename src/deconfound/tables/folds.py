"""Sections that are folds of one dataset as one table: the fold is the unit of means, deviations, intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deconfound.results.sections import Section
from deconfound.results.spread import mean_or_none, spread
from deconfound.tables.column_values import Clustering, ColumnValues, measure_column
from deconfound.tables.columns import MetricColumn, choose_columns
from deconfound.tables.compare_methods import ComparisonCell, TableSettings, compare_methods

WORST_FOLD = "worst fold"

FoldValues = Mapping[str, Mapping[int, float | None]]
"""Label → seed → value in one fold."""


def fold_columns(folds: Sequence[Section], settings: TableSettings) -> tuple[MetricColumn, ...]:
    """Columns of all folds together, each followed by its worst fold unless its rows are distributed like those of train."""
    columns: dict[tuple[str, str, str], MetricColumn] = {}
    for section in folds:
        for column in choose_columns(section, settings.metrics, settings.scenarios, settings.group):
            columns.setdefault((column.metric, column.scenario, column.group), column)
    metrics = list(dict.fromkeys(column.metric for column in columns.values()))
    tests = {column.scenario: column.split == "test-iid" for column in columns.values()}
    chosen = sorted(
        columns.values(), key=lambda c: (metrics.index(c.metric), not settings.scenarios and tests[c.scenario])
    )
    return tuple(
        shown
        for column in chosen
        for shown in (column, replace(column, group=_worst(column)))
        if shown is column or not tests[column.scenario]
    )


def fold_cells(
    folds: Sequence[Section],
    columns: Sequence[MetricColumn],
    labels: Sequence[str],
    baseline: str | None,
    settings: TableSettings,
) -> list[dict[str, ComparisonCell]]:
    """Label → cell for each column: over folds, of the means over the seeds of each; of a worst fold over seeds.

    The worst fold of a seed is the worst of the folds that it was trained on; undefined where the metric is in one.

    Raises:
        RunError: as `measure_column`.
    """
    cells: list[dict[str, ComparisonCell]] = []
    measured: list[FoldValues] = []
    for column in columns:
        if column.group.endswith(WORST_FOLD):
            cells.append(_worst_cells(measured, labels, higher_is_better=column.measure.higher_is_better))
            continue
        measured = [_values(section, column) for section in folds]
        values = ColumnValues({label: _over_folds(measured, label) for label in labels}, {}, 0, 0, "folds")
        compared = compare_methods(values, labels, baseline, settings, higher_is_better=column.measure.higher_is_better)
        cells.append({label: replace(cell, over="folds") for label, cell in compared.items()})
    return cells


def fold_rows(folds: Sequence[Section], column: MetricColumn) -> int:
    """Test rows of all folds together."""
    split = column.split
    return sum(max(run.splits.get(split, 0) for row in fold.rows for run in row.runs) for fold in folds)


def _worst(column: MetricColumn) -> str:
    return WORST_FOLD if column.group == "all" else f"{column.group}, {WORST_FOLD}"


def _values(section: Section, column: MetricColumn) -> FoldValues:
    return measure_column(section, column, 0, 0, Clustering()).values


def _over_folds(measured: Sequence[FoldValues], label: str) -> dict[int, float | None]:
    """Number of the fold → mean over its seeds, None where it is undefined or missing; empty where no fold has it."""
    means = {number: mean_or_none(fold.get(label, {}).values()) for number, fold in enumerate(measured)}
    return means if any(label in fold for fold in measured) else {}


def _worst_cells(
    measured: Sequence[FoldValues], labels: Sequence[str], *, higher_is_better: bool
) -> dict[str, ComparisonCell]:
    pick = min if higher_is_better else max
    cells = {}
    for label in labels:
        by_seed: dict[int, list[float | None]] = {}
        for fold in measured:
            for seed, value in fold.get(label, {}).items():
                by_seed.setdefault(seed, []).append(value)
        worst = [
            pick(known) if len(known := [v for v in values if v is not None]) == len(measured) else None
            for values in by_seed.values()
        ]
        cells[label] = ComparisonCell(spread(worst))
    return cells
