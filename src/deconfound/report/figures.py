"""Figures of measured records: shift between splits, damage of growing severity, missing modalities."""

from __future__ import annotations

from typing import Any

from deconfound.report.chart import SHAPES, Figure, base_chart, color, declare, labels_of, repeat, shape, x_of, y_of
from deconfound.report.compare import PRESENT, Section
from deconfound.report.spread import Spread, spread

UNITS = {
    "gaussian": "severity (training standard deviations)",
    "drop-frames": "severity (share of frames dropped)",
}
_SPREAD = ("mean", "sd", "low", "high", "n")


def shift_figure(section: Section) -> Figure | None:
    """In distribution against each shifted split, one line per method."""
    import altair as alt

    order = ([section.in_split] if section.in_split else []) + list(section.out_splits)
    if not order:
        return None
    rows = [
        (row.label, split, metric, *_moments(spread(section.clean(row, metric, split).values())))
        for metric in section.metrics
        for row in section.rows
        for split in order
    ]
    y = alt.Y("method:N", sort=labels_of(section), title=None, axis=alt.Axis(labelLimit=150, domain=False, ticks=False))
    by_split = alt.Shape("split:N", sort=order, title=None, scale=alt.Scale(domain=order, range=repeat(SHAPES, order)))
    base = base_chart(section).encode(y=y, color=color(section, legend=None))
    span = base.mark_rule(strokeWidth=1.5, opacity=0.35).encode(x=x_of("min(mean):Q"), x2=alt.X2("max(mean):Q"))
    error = base.mark_rule(strokeWidth=5, opacity=0.25).encode(x=x_of("low:Q"), x2=alt.X2("high:Q"))
    dots = base.mark_point(size=95, filled=True, opacity=1).encode(
        x=x_of("mean:Q"), shape=by_split, tooltip=["method:N", "split:N", *_tooltip()]
    )
    spec = declare(section, [span, error, dots], max(36 * len(section.rows), 170))
    note = (
        "Each shape is a split; the thin line spans the splits of a method, the thick bar is ± one standard deviation."
    )
    return Figure("Shift between splits", note, spec, ("method", "split", "metric", *_SPREAD), rows)


def curve_figures(section: Section) -> list[Figure]:
    """Metric against severity, one figure for each damaged scenario."""
    return [
        _curve_figure(section, scenario, split)
        for scenario, split in section.scenarios()
        if not scenario.startswith(PRESENT) and section.severities(scenario, split) != [0.0]
    ]


def _curve_figure(section: Section, scenario: str, split: str) -> Figure:
    import altair as alt

    severities = section.severities(scenario, split)
    rows = []
    for metric in section.metrics:
        for row in section.rows:
            for severity in dict.fromkeys([0.0, *severities]):
                found = section.index.get((row.label, scenario, split, severity, "all", metric))
                values = list(found.values()) if found else []
                if severity == 0 and not found:
                    values = list(section.clean(row, metric, split).values())
                if values:
                    rows.append((row.label, severity, metric, *_moments(spread(values))))
    ticks = [0.0, *(s for s in severities if s)]
    axis = alt.Axis(values=ticks, grid=False, format="~g", labelOverlap="greedy")
    x = alt.X("severity:Q", title=UNITS.get(scenario, "severity"), axis=axis)
    base = base_chart(section).encode(x=x, color=color(section))
    band = base.mark_area(opacity=0.14).encode(y=y_of("low:Q"), y2=alt.Y2("high:Q"))
    line = base.mark_line(strokeWidth=2.25).encode(y=y_of("mean:Q"))
    dots = base.mark_point(size=55, filled=True, opacity=1).encode(
        y=y_of("mean:Q"),
        shape=shape(section),
        tooltip=["method:N", alt.Tooltip("severity:Q", format="~g"), *_tooltip()],
    )
    title = {"gaussian": "Gaussian noise", "drop-frames": "Dropped frames"}.get(scenario, scenario)
    note = (
        f"Rows of {split}: mean and ± one standard deviation over seeds and repeats; severity 0 is the split undamaged."
    )
    spec = declare(section, [band, line, dots], 250)
    return Figure(title, note, spec, ("method", "severity", "metric", *_SPREAD), rows, "severity")


def missing_figures(section: Section) -> list[Figure]:
    """The metric with each subset of modalities present, one figure for each split it was measured on."""
    splits = dict.fromkeys(split for scenario, split in section.scenarios() if scenario.startswith(PRESENT))
    return [_missing_figure(section, split) for split in splits]


def _missing_figure(section: Section, split: str) -> Figure:
    import altair as alt

    scenarios = [scenario for scenario, where in section.scenarios() if scenario.startswith(PRESENT) and where == split]
    subsets = {name: name.removeprefix(PRESENT).replace("+", " + ") for name in scenarios}
    subsets = dict(sorted(subsets.items(), key=lambda item: (-item[1].count(" + "), item[1])))
    order = ["all modalities", *subsets.values()]
    rows = []
    for metric in section.metrics:
        for row in section.rows:
            for scenario, title in {split: order[0], **subsets}.items():
                found = section.index.get((row.label, scenario, split, 0.0, "all", metric))
                if found:
                    rows.append((row.label, title, metric, *_moments(spread(found.values()))))
    offset = alt.YOffset("method:N", scale=alt.Scale(domain=labels_of(section)))
    axis = alt.Axis(labelLimit=150, domain=False, ticks=False, grid=True)
    y = alt.Y("present:N", sort=order, title=None, axis=axis, scale=alt.Scale(paddingInner=0.4))
    base = base_chart(section).encode(y=y, yOffset=offset, color=color(section))
    error = base.mark_rule(strokeWidth=4, opacity=0.25).encode(x=x_of("low:Q"), x2=alt.X2("high:Q"))
    dots = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=x_of("mean:Q"), shape=shape(section), tooltip=["method:N", "present:N", *_tooltip()]
    )
    height = len(order) * max(32, 16 * len(section.rows))
    note = f"Rows of {split} with only the named modalities present; the bar is ± one standard deviation over seeds."
    spec = declare(section, [error, dots], height)
    return Figure("Missing modalities", note, spec, ("method", "present", "metric", *_SPREAD), rows, "present")


def _moments(measured: Spread) -> tuple[float | None, float | None, float | None, float | None, int]:
    mean, sd = measured.mean, measured.sd
    if mean is None or sd is None:
        return mean, sd, mean, mean, measured.defined
    return mean, sd, mean - sd, mean + sd, measured.defined


def _tooltip() -> list[Any]:
    import altair as alt

    numbers = [alt.Tooltip(f"{name}:Q", format=".4~f") for name in ("mean", "sd")]
    return [*numbers, alt.Tooltip("n:Q", title="values")]
