"""The main table: one column per dataset and shift, each method's difference from ERM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from folds import compare, difference_text, measured

from deconfound.results.collect_runs import RunFilter
from deconfound.tables import TableSettings, build_tables
from deconfound.tables.render import cell_text, signs

COLUMNS = (
    ("synthetic", "private causes", "test-flip", "private causes, shortcut reversed, MSE ↓"),
    ("synthetic", "shared causes", "test-flip", "shared causes, shortcut reversed, MSE ↓"),
    ("mosi", "mosi", "test", "CMU-MOSI, MAE ↓"),
    ("crema-d", "crema-d-votes-levels", "test-ood", "CREMA-D votes, low level, accuracy ↑"),
)
"""Sweep, dataset, scenario, heading."""
FOLDS = ("av-digits", "test-ood", "accuracy", "AV digits, six new speakers, accuracy ↑")
ALONE = "erm, one modality alone"
"""The predominant one: text, the face, the voice. Its labels differ between the sweeps."""


def main_table(out: Path, methods: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Markdown: a line per method; differences with 95 % intervals, the baseline's own mean with its interval.

    Args:
        out: folder of the sweeps.
        methods: sweep and the labels of its methods, all of which the corrections count.
    """
    wanted = dict(methods)
    shown = [column for column in COLUMNS if column[0] in wanted]
    columns = [_cells(out / sweep, dataset, scenario, wanted[sweep]) for sweep, dataset, scenario, _ in shown]
    heads = ["Method", *(heading for *_, heading in shown)]
    if FOLDS[0] in wanted:
        columns.append(_fold_cells(out / FOLDS[0], wanted[FOLDS[0]]))
        heads.append(FOLDS[-1])
    names = dict.fromkeys(name for column in columns for name in column)
    order = [name for labels in wanted.values() for name in map(plain, labels) if name in names]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---|" * len(columns)]
    rows = [[name, *(column.get(name, "—") for column in columns)] for name in dict.fromkeys(order)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def plain(label: str) -> str:
    """A label without the name of the modality."""
    return ALONE if label.endswith(" alone") else label


def _cells(folder: Path, dataset: str, scenario: str, methods: Sequence[str]) -> dict[str, str]:
    settings = TableSettings(scenarios=(scenario,), baseline="erm", only=RunFilter(tuple(methods), (dataset,)))
    (table,) = build_tables([folder], settings)
    texts = {line.label: (cell_text(cell, "difference"), signs(cell)) for line in table.lines for cell in line.cells}
    return {
        plain(label): f"{text} {mark.strip('†?')}".strip().replace("[", "\\[").replace("]", "\\]")
        for label, (text, mark) in texts.items()
    }


def _fold_cells(folder: Path, methods: Sequence[str]) -> dict[str, str]:
    lines = compare(measured(folder, *FOLDS[1:3], methods), "erm")
    return {plain(line.method): difference_text(line) or f"{line.mean:.3f}" for line in lines}
