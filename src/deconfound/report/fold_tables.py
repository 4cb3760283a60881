"""The folds of one dataset side by side: a line per method, over folds and in each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deconfound.report.result_tables import (
    ABSENT,
    ResultLine,
    ResultTable,
    ScenarioColumn,
    ValueCell,
    decimals,
    number,
    spread_cell,
)
from deconfound.results.folds import fold_labels, fold_of, group_folds
from deconfound.results.sections import Section
from deconfound.results.spread import Spread, mean_or_none, spread
from deconfound.statistics.student import Interval, paired_interval

MOST_FOLDS = 12
"""Folds that have a column each."""

Means = Mapping[int, float | None]
"""Number of a fold → mean over its seeds."""


@dataclass(frozen=True)
class FoldsPart:
    """What a page says of the folds of one dataset.

    Args:
        dataset: name of the whole.
        intro: how it was folded, and how to read the tables.
        tables: one per split, of the primary metric.
    """

    dataset: str
    intro: str
    tables: tuple[ResultTable, ...]


def folds_parts(sections: Sequence[Section]) -> list[FoldsPart]:
    """One part for each dataset of which two folds or more are there."""
    return [_part(folds) for folds in group_folds(sections) if len(folds) > 1]


def _part(folds: Sequence[Section]) -> FoldsPart:
    notes = [note for section in folds if (note := fold_of(section)) is not None]
    splits = dict.fromkeys(split for section in folds for split in section.splits)
    ordered = sorted(splits, key=lambda split: (split == "test-iid", split != "test"))
    intro = (
        f"{len(folds)} folds, {notes[0].declared}. Each fold is the mean over its seeds and counts once; worst: the fold "
        "with the worst mean. Intervals are "
        "Student's over folds, which share training rows; nothing is tested here."
    )
    return FoldsPart(notes[0].of, intro, tuple(_table(folds, [note.name for note in notes], s) for s in ordered))


def _table(folds: Sequence[Section], names: Sequence[str], split: str) -> ResultTable:
    metric, better = folds[0].protocol.primary, folds[0].better(folds[0].protocol.primary)
    means = {label: _means(folds, label, metric, split) for label in fold_labels(folds)}
    reference = folds[0].reference.label
    digits = decimals(value for own in means.values() for value in own.values())
    shown = names if len(names) <= MOST_FOLDS else ()
    columns = [ScenarioColumn("mean", "Over folds"), ScenarioColumn("worst", "Over folds")]
    columns += [ScenarioColumn(f"− {reference}", "Over folds")] if len(means) > 1 else []
    columns += [ScenarioColumn(name, "Folds") for name in shown]
    lines = []
    for style, (label, own) in enumerate(means.items()):
        cells = [_mean_cell(spread(own.values()), digits), _worst_cell(own, names, better, digits)]
        if len(means) > 1:
            apart = None if label == reference else paired_interval(own, means[reference])
            cells.append(_difference_cell(apart, digits))
        cells += [spread_cell(spread([own[n]]), digits) for n in range(len(shown))]
        lines.append(ResultLine(label, "", style, tuple(cells)))
    caption = f"{metric} ({better} is better) on {split}, mean ± standard deviation over folds"
    return ResultTable(metric, caption, "Method", tuple(columns), tuple(lines))


def _means(folds: Sequence[Section], label: str, metric: str, split: str) -> Means:
    means: dict[int, float | None] = {}
    for number_, section in enumerate(folds):
        row = next((row for row in section.rows if row.label == label), None)
        means[number_] = None if row is None else mean_or_none(section.clean(row, metric, split).values())
    return means


def _mean_cell(measured: Spread, digits: int) -> ValueCell:
    cell = spread_cell(measured, digits)
    defined = measured.defined == measured.total
    return cell if defined else replace(cell, note=f"{measured.defined} of {measured.total} folds defined")


def _worst_cell(own: Means, names: Sequence[str], better: str, digits: int) -> ValueCell:
    known = {number_: value for number_, value in own.items() if value is not None}
    if len(known) < len(own):
        return ValueCell("undefined")
    pick = min if better == "higher" else max
    worst = pick(known, key=lambda number_: known[number_])
    return ValueCell(number(known[worst], digits), known[worst], note=names[worst])


def _difference_cell(apart: Interval | None, digits: int) -> ValueCell:
    if apart is None:
        return ValueCell(ABSENT)
    text = f"{'+' if apart.mean > 0 else ''}{number(apart.mean, digits)}"
    if apart.low is None or apart.high is None:
        return ValueCell(text, apart.mean, note="no interval")
    return ValueCell(text, apart.mean, detail=f"[{number(apart.low, digits)}, {number(apart.high, digits)}]")
