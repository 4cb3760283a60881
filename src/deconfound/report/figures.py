"""Figures of records: shift between splits, corruption of growing severity, missing modalities, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deconfound.report.chart import (
    SHAPES,
    Figure,
    base_chart,
    color,
    declare,
    interval_tooltip,
    labels_of,
    repeat,
    shape,
    x_of,
    y_of,
)
from deconfound.report.conditions import Condition, conditions, shown_groups
from deconfound.report.result_tables import MAX_GROUPS
from deconfound.results.sections import PRESENT, Row, Section
from deconfound.results.spread import over_repeats, spread
from deconfound.statistics.student import Interval, mean_interval, paired_interval

INTERVAL = "95 % t-interval of the mean over seeds, none where all seeds are equal"
MEASURED = ("mean", "sd", "low", "high", "n")
MOST_BARS = 5000
"""Bars of all metrics and splits together that a page holds."""
UNITS = {
    "gaussian": "severity (training standard deviations)",
    "laplace": "severity (training standard deviations)",
    "mix-noise": "severity (share of noise)",
    "erase": "severity (share of features erased)",
    "salt-and-pepper": "severity (share of features hit)",
    "time-shift": "severity (largest shift, share of the steps)",
    "drop-frames": "severity (share of frames dropped)",
}
TITLES = {"gaussian": "Gaussian noise", "drop-frames": "Dropped frames"}


def measured(values: Mapping[int, float | None]) -> tuple[float | None, float | None, float | None, float | None, int]:
    """(mean, sd, low, high, n) of seed → value, in the order of `MEASURED`; the ends are None below two seeds."""
    summary, interval = spread(values.values()), mean_interval(values.values())
    low, high = (interval.low, interval.high) if interval else (None, None)
    return summary.mean, summary.sd, low, high, summary.defined


def left_out(section: Section, rows: Sequence[tuple[Any, ...]]) -> str:
    """A sentence that names the methods of rows that are means over fewer than all seeds; "" without one.

    Args:
        rows: the label first, the number of seeds last.
    """
    seeds = {row.label: len(row.seeds) for row in section.rows}
    short = dict.fromkeys(row[0] for row in rows if row[-1] < seeds[row[0]])
    return f" Seeds that do not define a value are left out of its mean: {', '.join(short)}." if short else ""


def shift_figure(section: Section) -> Figure | None:
    """In distribution against each shifted split, one line per method."""
    import altair as alt

    order = ([section.in_split] if section.in_split else []) + list(section.out_splits)
    if not order:
        return None
    rows = [
        (row.label, split, metric, *measured(section.clean(row, metric, split)))
        for metric in section.metrics
        for row in section.rows
        for split in order
    ]
    y = alt.Y("method:N", sort=labels_of(section), title=None, axis=alt.Axis(labelLimit=150, domain=False, ticks=False))
    by_split = alt.Shape("split:N", sort=order, title=None, scale=alt.Scale(domain=order, range=repeat(SHAPES, order)))
    base = base_chart().encode(y=y, color=color(section, legend=None))
    span = base.mark_rule(strokeWidth=1.5, opacity=0.35).encode(x=x_of("min(mean):Q"), x2=alt.X2("max(mean):Q"))
    error = _error_bars(base, 5)
    dots = base.mark_point(size=95, filled=True, opacity=1).encode(
        x=x_of("mean:Q"), shape=by_split, tooltip=["method:N", "split:N", *interval_tooltip()]
    )
    note = f"Each shape is a split; the thin line spans the splits of a method, the thick bar is the {INTERVAL}."
    note += left_out(section, rows)
    spec = declare([span, error, dots], {"step": 40})
    return Figure("Shift between splits", note, spec, ("method", "split", "metric", *MEASURED), rows)


def _error_bars(base: Any, width: float) -> Any:
    import altair as alt

    known = base.transform_filter("isValid(datum.low)")
    return known.mark_rule(strokeWidth=width, opacity=0.25).encode(x=x_of("low:Q"), x2=alt.X2("high:Q"))


def curve_figures(section: Section) -> list[Figure]:
    """Metric against severity, one figure for each corruption; values, and paired differences."""
    return [_curve_figure(section, condition) for condition in conditions(section) if condition.kind == "corruption"]


def _curve_figure(section: Section, condition: Condition) -> Figure:
    import altair as alt

    rows = _curve_rows(section, condition)
    ticks = sorted({row[1] for row in rows})
    axis = alt.Axis(values=ticks, grid=False, format="~g", labelOverlap="greedy")
    x = alt.X("severity:Q", title=UNITS.get(condition.scenario, "severity"), axis=axis)
    base = base_chart().encode(x=x, color=color(section))
    known = base.transform_filter("isValid(datum.low)")
    band = known.mark_area(opacity=0.14).encode(y=y_of("low:Q"), y2=alt.Y2("high:Q"))
    line = base.mark_line(strokeWidth=2.25).encode(y=y_of("mean:Q"))
    dots = base.mark_point(size=55, filled=True, opacity=1).encode(
        y=y_of("mean:Q"),
        shape=shape(section),
        tooltip=["method:N", alt.Tooltip("severity:Q", format="~g"), *interval_tooltip()],
    )
    note = (
        f"Rows of {condition.split}; repeats are averaged within a seed, severity 0 is the clean split. "
        f"Band: {INTERVAL}; of a difference, paired by seed with {section.reference.label}.{left_out(section, rows)}"
    )
    return Figure(
        TITLES.get(condition.scenario, condition.scenario),
        note,
        declare([band, line, dots], 260),
        ("method", "severity", "metric", "view", *MEASURED),
        rows,
        across="severity",
        follows=("metric", "view"),
    )


def _curve_rows(section: Section, condition: Condition) -> list[tuple[Any, ...]]:
    """(method, severity, metric, view, …): "value" by itself, "difference" from the reference over common seeds."""
    rows: list[tuple[Any, ...]] = []
    for metric in section.metrics:
        for severity in sorted({0.0, *condition.severities}):
            theirs = _at_severity(section, section.reference, condition, severity, metric)
            for row in section.rows:
                ours = _at_severity(section, row, condition, severity, metric)
                if ours:
                    rows.append((row.label, severity, metric, "value", *measured(ours)))
                paired = paired_interval(ours, theirs)
                if paired and len(section.rows) > 1:
                    rows.append((row.label, severity, metric, "difference", *_difference(paired, row, section)))
    return rows


def _difference(paired: Interval, row: Row, section: Section) -> tuple[Any, ...]:
    if row is section.reference:
        return 0.0, None, None, None, paired.seeds
    return paired.mean, None, paired.low, paired.high, paired.seeds


def _at_severity(
    section: Section, row: Row, condition: Condition, severity: float, metric: str
) -> dict[int, float | None]:
    """Seed → mean over repeats; severity 0 is the clean split where the scenario has none itself."""
    for scenario in (condition.scenario, condition.split):
        if values := section.index.get((row.label, scenario, condition.split, severity, "all", metric)):
            return over_repeats(values)
    return {}


def missing_figures(section: Section) -> list[Figure]:
    """The metric with each subset of modalities present, one figure for each split it was measured on."""
    splits = dict.fromkeys(split for scenario, split in section.scenarios() if scenario.startswith(PRESENT))
    return [_missing_figure(section, split) for split in splits]


def _missing_figure(section: Section, split: str) -> Figure:
    import altair as alt

    scenarios = [
        scenario
        for scenario, measured_split in section.scenarios()
        if scenario.startswith(PRESENT) and measured_split == split
    ]
    subsets = {name: name.removeprefix(PRESENT).replace("+", " + ") for name in scenarios}
    subsets = dict(sorted(subsets.items(), key=lambda item: (-item[1].count(" + "), item[1])))
    order = ["all modalities", *subsets.values()]
    rows = [
        (row.label, title, metric, *measured(values))
        for metric in section.metrics
        for row in section.rows
        for scenario, title in {split: order[0], **subsets}.items()
        if (values := section.clean(row, metric, split, scenario=scenario))
    ]
    offset = alt.YOffset("method:N", sort=labels_of(section))
    axis = alt.Axis(labelLimit=150, domain=False, ticks=False, grid=True)
    y = alt.Y("present:N", sort=order, title=None, axis=axis, scale=alt.Scale(paddingInner=0.4))
    base = base_chart().encode(y=y, yOffset=offset, color=color(section))
    dots = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=x_of("mean:Q"), shape=shape(section), tooltip=["method:N", "present:N", *interval_tooltip()]
    )
    note = f"Rows of {split} with only the named modalities present; the bar is the {INTERVAL}."
    note += left_out(section, rows)
    spec = declare([_error_bars(base, 4), dots], {"step": 13, "for": "offset"})
    return Figure("Missing modalities", note, spec, ("method", "present", "metric", *MEASURED), rows, "present")


def _passes_over(section: Section) -> bool:
    """Whether a worst group is one of those alone that define the metric."""
    counts = (
        section.group_count(row, metric, split, group)
        for row in section.rows
        for metric in section.metrics
        for split in section.splits
        for group in section.groups(split)
    )
    return any(count is not None and count.undefined > 0 for count in counts)


def group_figure(section: Section) -> Figure | None:
    """A bar for every environment group of the chosen split, and for the worst one; None without groups."""
    import altair as alt

    bars = len(section.rows) * len(section.metrics) * len(section.splits)
    most = min(MAX_GROUPS, max(5, MOST_BARS // max(1, bars)))
    rows = [
        (row.label, condition.key, group, metric, *measured(values))
        for metric in section.metrics
        for condition in conditions(section)
        if condition.kind == "split"
        for group in shown_groups(section, condition.split, most)
        for row in section.rows
        if (values := section.clean(row, metric, condition.split, group))
    ]
    if not rows:
        return None
    axis = alt.Axis(labelLimit=170, domain=False, ticks=False)
    order = list(dict.fromkeys(row[2] for row in rows))
    y = alt.Y("environment:N", sort=order, title=None, axis=axis, scale=alt.Scale(paddingInner=0.3))
    base = base_chart().encode(y=y, yOffset=alt.YOffset("method:N", sort=labels_of(section)))
    known = base.transform_filter("isValid(datum.low)")
    marks = base.mark_bar(opacity=0.85).encode(
        x=alt.X("mean:Q", title=None, axis=alt.Axis(tickCount=5)),
        color=color(section),
        tooltip=["method:N", "environment:N", *interval_tooltip()],
    )
    error = known.mark_rule(style="ink", strokeWidth=1.25, opacity=0.75).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"))
    note = f"Clean rows of the chosen split. “worst(…)” is the worst group of each run. Line: {INTERVAL}."
    note += left_out(section, rows)
    if _passes_over(section):
        note += " Where groups do not define the metric, the worst is of the others; the table by group counts them."
    if max(len(section.groups(split)) for split in section.splits) > most + 1:
        note += f" Of many groups, those {most} where {section.reference.label} does worst."
    return Figure(
        "By group",
        note,
        declare([marks, error], {"step": 12, "for": "offset"}),
        ("method", "scenario", "environment", "metric", *MEASURED),
        rows,
        across="environment",
        follows=("metric", "scenario"),
    )
