"""`build_tables`: run directories → one `ComparisonTable` per dataset and protocol, with intervals and tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deconfound.errors import RunError, SpecError, did_you_mean
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import ORACLE, collect_runs
from deconfound.results.folds import fold_labels, fold_of, group_folds
from deconfound.results.sections import GroupCount, Row, Section
from deconfound.tables.column_values import Clustering, measure_column
from deconfound.tables.columns import MetricColumn, check_names, choose_columns
from deconfound.tables.compare_methods import ComparisonCell, TableSettings, compare_methods
from deconfound.tables.folds import fold_cells, fold_columns, fold_rows


@dataclass(frozen=True)
class ComparisonLine:
    """One method: its label, seeds and cells, one per column."""

    label: str
    seeds: tuple[int, ...]
    cells: tuple[ComparisonCell, ...]


@dataclass(frozen=True)
class ComparisonTable:
    """Everything measured on one dataset by one protocol.

    Args:
        trained_on: names of the methods' training data, where that is not this dataset.
        baseline: label of the baseline's line, None without.
        rules: how the runs were selected and among what, as ("valid", "3 draws judged by 1 of 5 seeds"); ("", "") for
            runs that no sweep chose.
        units: what was resampled in each column, "" for nothing; reasons: why nothing was, "" where rows were.
        rows: test rows per column, 0 where unknown.
        settings: how it was made.
        folds: names of the folds that the cells are over, in their order; empty for a table over seeds.
        folded: how the folds were made, in words.
    """

    dataset: str
    checksum: str
    protocol: str
    trained_on: tuple[str, ...]
    columns: tuple[MetricColumn, ...]
    lines: tuple[ComparisonLine, ...]
    baseline: str | None
    rules: tuple[tuple[str, str], ...]
    units: tuple[str, ...]
    reasons: tuple[str, ...]
    rows: tuple[int, ...]
    settings: TableSettings
    folds: tuple[str, ...] = ()
    folded: str = ""


def build_tables(
    paths: Sequence[str | os.PathLike[str]], settings: TableSettings | None = None
) -> list[ComparisonTable]:
    """Tables of run directories and of the chosen runs of sweep directories; two protocols never share one.

    The folds of one dataset share a table.

    Raises:
        RunError: what is wrong with a directory, see `collect_runs`; none of the runs has a test row evaluated; or a store
            of other data.
        SpecError: a metric, scenario, group, method, dataset or baseline that no run has.
        DataError: a column for clusters that the data do not have.
    """
    chosen = settings or TableSettings()
    sections = build_sections(collect_runs([Path(path) for path in paths], chosen.only).runs)
    check_names(sections, chosen.metrics, chosen.scenarios, chosen.group)
    _check_baseline(sections, chosen.baseline)
    _check_store(sections, chosen.store)
    tables = [
        table
        for folds in group_folds(sections)
        if (table := _table(folds[0], chosen) if len(folds) == 1 else _fold_table(folds, chosen)) is not None
    ]
    if not tables:
        raise RunError("no test rows of these runs were evaluated under such a column; run 'deconfound evaluate' first")
    return tables


def _check_baseline(sections: Sequence[Section], baseline: str | None) -> None:
    known = {name for section in sections for row in section.rows for name in (row.label, row.runs[0].method)}
    if baseline not in (None, "none", *known):
        raise SpecError(f"no run is called {baseline!r}, the baseline{did_you_mean(str(baseline), known)}")


def _check_store(sections: Sequence[Section], store: Path | None) -> None:
    if store is None:
        return
    from deconfound.data.store import open_store

    whole = {fold.checksum for section in sections if (fold := fold_of(section)) is not None}
    if open_store(store).checksum not in whole | {section.checksum for section in sections}:
        names = ", ".join(dict.fromkeys(section.dataset for section in sections))
        raise RunError(f"{store} is not the data of a table ({names}; the checksums differ); name another store")


def _baseline(section: Section, baseline: str | None) -> Row | None:
    """The row that the others are tested against.

    Raises:
        SpecError: the name fits several rows.
    """
    if baseline == "none" or len(section.rows) < 2:
        return None
    exact = [row for row in section.rows if row.label == (baseline or "erm")]
    fitting = exact or [row for row in section.rows if row.runs[0].method == (baseline or "erm")]
    if len(fitting) > 1 and baseline is not None:
        raise SpecError(
            f"{baseline!r} fits several rows; choose a baseline among: {', '.join(r.label for r in fitting)}"
        )
    return fitting[0] if len(fitting) == 1 else None


def _table(section: Section, settings: TableSettings) -> ComparisonTable | None:
    """None where none of the columns was evaluated."""
    columns = choose_columns(section, settings.metrics, settings.scenarios, settings.group)
    if not columns:
        return None
    baseline = _baseline(section, settings.baseline)
    clustering = Clustering(settings.clusters, settings.store)
    measured = [measure_column(section, column, settings.resamples, settings.seed, clustering) for column in columns]
    compared = [
        compare_methods(
            values,
            [row.label for row in section.rows],
            baseline and baseline.label,
            settings,
            higher_is_better=column.measure.higher_is_better,
        )
        for column, values in zip(columns, measured, strict=True)
    ]
    lines = tuple(
        ComparisonLine(
            _label(row),
            row.seeds,
            tuple(
                replace(cells[row.label], groups=_group_count(section, row, column))
                for cells, column in zip(compared, columns, strict=True)
            ),
        )
        for row in section.rows
    )
    return ComparisonTable(
        dataset=section.dataset,
        checksum=section.checksum,
        protocol=section.protocol.name,
        trained_on=() if section.trained_here else section.trained_on,
        columns=columns,
        lines=lines,
        baseline=None if baseline is None else _label(baseline),
        rules=_rules(section.rows),
        units=tuple(values.unit for values in measured),
        reasons=tuple(values.reason for values in measured),
        rows=tuple(values.rows for values in measured),
        settings=settings,
    )


def _fold_table(folds: tuple[Section, ...], settings: TableSettings) -> ComparisonTable | None:
    """One table over the folds of a dataset; None where none of the columns was evaluated."""
    columns = fold_columns(folds, settings)
    if not columns:
        return None
    rows_of = fold_labels(folds)
    baseline = _baseline(folds[0], settings.baseline)
    cells = fold_cells(folds, columns, list(rows_of), baseline and baseline.label, settings)
    lines = tuple(
        ComparisonLine(
            _label(rows[0]), tuple(sorted({seed for row in rows for seed in row.seeds})), tuple(c[label] for c in cells)
        )
        for label, rows in rows_of.items()
    )
    notes = [fold for section in folds if (fold := fold_of(section)) is not None]
    return ComparisonTable(
        dataset=notes[0].of,
        checksum=notes[0].checksum,
        protocol=folds[0].protocol.name,
        trained_on=(),
        columns=columns,
        lines=lines,
        baseline=None if baseline is None else _label(baseline),
        rules=_rules([row for rows in rows_of.values() for row in rows]),
        units=("",) * len(columns),
        reasons=("rows of folds are not resampled",) * len(columns),
        rows=tuple(fold_rows(folds, column) for column in columns),
        settings=settings,
        folds=tuple(note.name for note in notes),
        folded=notes[0].declared,
    )


def _rules(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((run.rule, run.budget) for row in rows for run in row.runs))


def _group_count(section: Section, row: Row, column: MetricColumn) -> GroupCount | None:
    return section.group_count(row, column.metric, column.split, column.group, column.pieces[0].scenario)


def _label(row: Row) -> str:
    """The row's label; loud where its runs were chosen by looking at test rows."""
    return f"{row.label} [ORACLE]" if any(run.rule == ORACLE for run in row.runs) else row.label
