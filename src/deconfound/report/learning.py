"""Learning curves: every logged term against the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deconfound.report.chart import Figure, base_chart, color, declare, shape, y_of
from deconfound.results.sections import Section


def learning_figures(section: Section, points: int = 24_000) -> list[Figure]:
    """Every logged term against the epoch, train and validation, one figure per term.

    Args:
        points: about as many points as all figures together may hold; long curves become means of consecutive epochs.
    """
    lines = sum(len(run.curves) for row in section.rows for run in row.runs)
    lines += sum(len({curve for run in row.runs for curve in run.curves}) for row in section.rows)
    longest = max((len(c) for row in section.rows for run in row.runs for c in run.curves.values()), default=1)
    width = max(1, math.ceil(longest / min(120, max(12, points // max(1, lines)))))
    known = {term for row in section.rows for run in row.runs for _, term in run.curves}
    order = list(dict.fromkeys(term for row in section.rows for run in row.runs for _, term in run.curves))
    first = [term for term in ("risk", "total", "prediction") if term in known]
    last = [term for term in ("learning_rate",) if term in known]
    terms = [*first, *(term for term in order if term not in last), *last]
    return [_learning_figure(section, term, width) for term in dict.fromkeys(terms)]


def _learning_figure(section: Section, term: str, width: int) -> Figure:
    import altair as alt

    rows = _learning_rows(section, term, width)
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(grid=False, tickMinStep=1, format="d", labelOverlap="greedy"))
    dash = alt.StrokeDash(
        "split:N",
        title=None,
        scale=alt.Scale(domain=["train", "valid"], range=[[1, 0], [5, 3]]),
        legend=alt.Legend(symbolSize=500, symbolStrokeWidth=2),
    )
    base = base_chart(needs="value").encode(x=x, y=y_of("value:Q"), color=color(section))
    seeds = base.transform_filter("datum.kind === 'seed'").mark_line(strokeWidth=0.8, opacity=0.4)
    means = base.transform_filter("datum.kind === 'mean'").mark_line(strokeWidth=2).encode(strokeDash=dash)
    layers = [seeds.encode(strokeDash=dash, detail="seed:N"), means]
    if term == "risk":
        best = base.transform_filter("datum.kind === 'best'").mark_point(size=60, filled=True, opacity=1)
        tooltip = ["method:N", "seed:N", "epoch:Q", alt.Tooltip("value:Q", format=".4~g")]
        layers.append(best.encode(shape=shape(section), tooltip=tooltip))
    note = "Validation risk; each mark is the epoch that a run kept." if term == "risk" else ""
    note += f" Each point is the mean of {width} epochs." if width > 1 else ""
    columns = ("method", "split", "seed", "epoch", "value", "kind")
    return Figure(term, note, declare(layers, 150), columns, rows, follows=())


def _learning_rows(section: Section, term: str, width: int) -> list[tuple[Any, ...]]:
    """(method, split, seed, epoch, value, kind): each seed, their mean, and the epochs kept by the validation risk."""
    rows: list[tuple[Any, ...]] = []
    for row in section.rows:
        for split in dict.fromkeys(split for run in row.runs for split, name in run.curves if name == term):
            pooled: dict[int, list[float]] = {}
            for run in row.runs:
                for epoch, value in _thinned(run.curves.get((split, term), {}), width).items():
                    rows.append((row.label, split, str(run.seed), epoch, value, "seed"))
                    pooled.setdefault(epoch, []).append(value)
            rows += [
                (row.label, split, "mean", epoch, math.fsum(values) / len(values), "mean")
                for epoch, values in sorted(pooled.items())
            ]
        if term == "risk":
            rows += [
                (row.label, "valid", str(r.seed), r.best_epoch, r.best_risk, "best") for r in row.runs if not r.variant
            ]
    return rows


def _thinned(curve: Mapping[int, float], width: int) -> dict[int, float]:
    """Means of `width` consecutive epochs, at the middle one."""
    if width == 1:
        return dict(curve)
    epochs = sorted(curve)
    parts = [epochs[i : i + width] for i in range(0, len(epochs), width)]
    return {part[len(part) // 2]: math.fsum(curve[epoch] for epoch in part) / len(part) for part in parts}
