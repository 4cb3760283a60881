"""Sections that are the folds of one dataset, for what is shown over all of them."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.results.fold_result import FoldResult
from deconfound.results.sections import Row, Section


def fold_of(section: Section) -> FoldResult | None:
    """The fold that its rows were trained and evaluated on; None for other data."""
    return section.rows[0].runs[0].fold if section.trained_here else None


def group_folds(sections: Sequence[Section]) -> list[tuple[Section, ...]]:
    """Sections that share a table: the folds of one dataset by one declaration and protocol, in their order.

    A section that is no fold is by itself, and so is a fold without others.
    """
    joined: dict[tuple[str | int, ...], list[Section]] = {}
    for number, section in enumerate(sections):
        fold = fold_of(section)
        key = (number,) if fold is None else (fold.checksum, fold.declaration, section.protocol.name)
        joined.setdefault(key, []).append(section)
    return [tuple(sorted(parts, key=_number)) for parts in joined.values()]


def fold_labels(folds: Sequence[Section]) -> dict[str, tuple[Row, ...]]:
    """Label → its rows in the folds, in order of first appearance."""
    rows: dict[str, list[Row]] = {}
    for section in folds:
        for row in section.rows:
            rows.setdefault(row.label, []).append(row)
    return {label: tuple(its) for label, its in rows.items()}


def _number(section: Section) -> int:
    fold = fold_of(section)
    return 0 if fold is None else fold.number
