"""In distribution against another scenario, one point per run, with the line that plain training follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from deconfound.report.chart import Figure, color, declare, shape
from deconfound.report.conditions import Condition, choosable_groups, conditions, values_at
from deconfound.results.sections import Section

ENOUGH = 3
"""Runs that a line needs."""


@dataclass(frozen=True)
class FittedLine:
    """y = intercept + slope · x.

    Args:
        runs: that it was fitted to; 0 for the identity.
    """

    intercept: float
    slope: float
    runs: int


def least_squares(x: Sequence[float], y: Sequence[float]) -> FittedLine:
    """The line through runs with the smallest Σ(y − a − b x)²; the identity below three runs or where all x agree.

    Source: b = Σ(x − x̄)(y − ȳ) / Σ(x − x̄)², a = ȳ − b x̄; as `scipy.stats.linregress`.
    """
    if len(x) < ENOUGH or max(x) - min(x) <= 1e-9 * max(1e-9, abs(max(x))):
        return FittedLine(0.0, 1.0, 0)
    mean_x, mean_y = fmean(x), fmean(y)
    across = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / across
    return FittedLine(mean_y - slope * mean_x, slope, len(x))


def erm_line(section: Section, metric: str, inside: Condition, condition: Condition, group: str) -> FittedLine:
    """The line of all ERM runs, whatever their hyper-parameters: `inside` across, `condition` upwards."""
    x, y = [], []
    for row in section.rows:
        if row.runs[0].method != "erm":
            continue
        ours, theirs = (
            values_at(section, row, metric, axis_condition, group) for axis_condition in (inside, condition)
        )
        for seed in row.seeds:
            a, b = ours.get(seed), theirs.get(seed)
            if a is not None and b is not None:
                x.append(a)
                y.append(b)
    return least_squares(x, y)


def scatter_figure(section: Section) -> Figure | None:
    """One point per run: the in-distribution split across, the chosen scenario upwards; None below two conditions."""
    import altair as alt

    known = conditions(section)
    if len(known) < 2 or known[0].key != section.in_split:
        return None
    inside, *others = known
    rows = []
    for condition in others:
        for group in choosable_groups(section) if condition.kind == "split" else ["all"]:
            for metric in section.metrics:
                line = erm_line(section, metric, inside, condition, group)
                rows.append((condition.key, group, metric, line.intercept, line.slope, line.runs))
    free = alt.Scale(zero=False, nice=True)
    axis = alt.Axis(tickCount=5)
    x = alt.X("x:Q", title=section.in_split, scale=free, axis=axis)
    y = alt.Y("y:Q", title="chosen scenario", scale=free, axis=axis)
    chart = alt.Chart(alt.NamedData("rows"))
    line = chart.transform_filter("datum.kind === 'line'").mark_line(
        style="ink", strokeWidth=1.5, strokeDash=[5, 4], opacity=0.7
    )
    runs = chart.transform_filter("datum.kind === 'run'").mark_point(size=75, filled=True, opacity=0.85)
    tooltip = ["method:N", "seed:N", "run:N", *(alt.Tooltip(f"{axis}:Q", format=".4~f") for axis in ("x", "y"))]
    layers = [
        line.encode(x=x, y=y, detail="kind:N"),
        runs.encode(x=x, y=y, color=color(section), shape=shape(section), tooltip=tooltip),
    ]
    columns = ("scenario", "group", "metric", "intercept", "slope", "runs")
    note = (
        f"One point per run. Dashed: least squares through the ERM runs, or y = x where there are fewer than {ENOUGH} of "
        f"them or they agree. A run off the line of ERM on the better side is robust beyond what its result on "
        f"{section.in_split} explains."
    )
    controls = ("metric", "scenario", "group")
    spec = declare(layers, 330)
    return Figure("Every run under shift", note, spec, columns, rows, follows=controls, derive="scatter")
