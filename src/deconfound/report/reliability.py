"""Reliability diagrams: the accuracy of a classifier against its confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconfound.evaluation.predictions import Predictions, load_predictions
from deconfound.io.files import file_stem
from deconfound.metrics.ece import ECE
from deconfound.report.chart import Figure, base_chart, color, declare, shape
from deconfound.report.result_tables import ResultLine, ResultTable, ScenarioColumn, decimals, row_note, spread_cell
from deconfound.results.run_result import RunResult
from deconfound.results.sections import Row, Section
from deconfound.results.spread import spread
from deconfound.scoring.calibration import BINS, Reliability, reliability


def kept_predictions(run: RunResult, split: str) -> Predictions | None:
    """The run's predictions of an undamaged split, None where it kept none.

    Raises:
        RunError: the file is damaged.
    """
    path = run.directory / "predictions" / f"{file_stem(split)}.npz"
    return load_predictions(path).of(run.variant) if path.is_file() else None


def calibration(section: Section) -> tuple[ResultTable, Figure] | None:
    """Calibration errors, and the share of right answers against confidence; None without a kept classification.

    Raises:
        RunError: a file of predictions is damaged.
    """
    if section.protocol.kind != "classification" or not section.checksum:
        return None
    binned = {(row.label, split): _binned(row, split) for row in section.rows for split in section.splits}
    binned = {label_and_split: by_seed for label_and_split, by_seed in binned.items() if by_seed}
    if not binned:
        return None
    rows = [line for (label, split), by_seed in binned.items() for line in _lines(label, split, by_seed)]
    note = (
        f"Rows of the chosen split in {BINS} bins of equal width by the probability of the answer, all seeds together; "
        "the larger a mark, the more rows. On the diagonal the accuracy equals the confidence."
    )
    columns = ("method", "scenario", "confidence", "correct", "share", "rows")
    figure = Figure("Calibration", note, _declare(section), columns, rows, follows=("scenario",))
    return _errors(section, binned), figure


BySeed = Sequence[tuple[Reliability, float | None]]
"""Bins and calibration error of each seed."""
Binned = Mapping[tuple[str, str], BySeed]
"""(method, split) → seeds."""


def _errors(section: Section, binned: Binned) -> ResultTable:
    measured = [
        [spread(error for _, error in binned.get((row.label, split), ())) for split in section.splits]
        for row in section.rows
    ]
    digits = decimals(cell.mean for line in measured for cell in line)
    lines = [
        ResultLine(row.label, row_note(section, row), style, tuple(spread_cell(cell, digits) for cell in line))
        for style, (row, line) in enumerate(zip(section.rows, measured, strict=True))
    ]
    caption = (
        f"Expected calibration error in {BINS} bins (lower is better), mean ± standard deviation over seeds: the mean "
        "distance between confidence and share correct, weighted by rows"
    )
    return ResultTable("", caption, "Method", tuple(ScenarioColumn(split) for split in section.splits), tuple(lines))


def _binned(row: Row, split: str) -> BySeed:
    predicted = [kept_predictions(run, split) for run in row.runs]
    known = [(p.output[0, 0], p.target) for p in predicted if p is not None and p.output.shape[3] > 1]
    return [(reliability(logits, target), ECE().value(logits, target)) for logits, target in known]


def _lines(label: str, split: str, by_seed: BySeed) -> list[tuple[Any, ...]]:
    """(method, scenario, confidence, correct, share, rows) of each bin with rows in it."""
    count = np.sum([bins.count for bins, _ in by_seed], axis=0)
    sure = np.sum([bins.count * np.nan_to_num(bins.confidence) for bins, _ in by_seed], axis=0)
    right = np.sum([bins.count * np.nan_to_num(bins.accuracy) for bins, _ in by_seed], axis=0)
    return [
        (label, split, float(sure[i] / n), float(right[i] / n), float(n / count.sum()), int(n))
        for i, n in enumerate(count)
        if n
    ]


def _declare(section: Section) -> dict[str, Any]:
    import altair as alt

    unit = alt.Scale(domain=[0, 1])
    axis = alt.Axis(tickCount=5, format=".1f")
    x = alt.X("confidence:Q", title="confidence", scale=unit, axis=axis)
    y = alt.Y("correct:Q", title="share correct", scale=unit, axis=axis)
    base = base_chart(needs="confidence").encode(x=x, y=y, color=color(section))
    ends = alt.Chart(alt.NamedData("rows")).transform_aggregate(n="count()")
    diagonal = ends.mark_rule(strokeDash=[4, 4], opacity=0.5).encode(
        x=alt.XDatum(0, scale=unit), y=alt.YDatum(0, scale=unit), x2=alt.X2Datum(1), y2=alt.Y2Datum(1)
    )
    numbers = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("confidence", "correct")]
    dots = base.mark_point(filled=True, opacity=0.9).encode(
        size=alt.Size("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[18, 420])),
        shape=shape(section),
        tooltip=["method:N", *numbers, "rows:Q"],
    )
    return declare([diagonal, base.mark_line(strokeWidth=1.75, opacity=0.8), dots], 300)
