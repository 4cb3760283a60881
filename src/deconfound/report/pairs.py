"""Two hyper-parameters at once: the validation result of every pair of values that was tried."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from deconfound.report.chart import Figure, declare
from deconfound.report.conditions import all_runs
from deconfound.report.sensitivity import FEW, VariedHyperparameter, varied_hyperparameters
from deconfound.results.sections import Section

PREFERRED = ("method.gamma_dk", "method.gamma_fd")
"""The pair that is shown where both were varied; else the two with the most values."""


def pair_figures(section: Section) -> list[Figure]:
    """One figure per method with two varied settings and four or more pairs of values; empty without."""
    by_method: dict[str, list[VariedHyperparameter]] = {}
    for setting in varied_hyperparameters(section):
        by_method.setdefault(setting.method, []).append(setting)
    return [figure for settings in by_method.values() if (figure := _figure(section, settings)) is not None]


def _figure(section: Section, settings: list[VariedHyperparameter]) -> Figure | None:
    import altair as alt

    by_name = {setting.name: setting for setting in settings}
    across, up = ([by_name[name] for name in PREFERRED] if set(PREFERRED) <= set(by_name) else [*settings, None, None])[
        :2
    ]
    if across is None or up is None:
        return None
    rows = _rows(section, across, up)
    if len({(row[1], row[2]) for row in rows}) < 4:
        return None
    grid = max(len(across.distinct), len(up.distinct)) <= FEW
    chart = alt.Chart(alt.NamedData("rows")).transform_filter("isValid(datum.mean)")
    tooltip = ["x:Q", "y:Q", alt.Tooltip("mean:Q", format=".4~f"), alt.Tooltip("n:Q", title="runs")]
    shade = alt.Color("mean:Q", title=None, scale=alt.Scale(scheme="viridis", zero=False))
    marks = (chart.mark_rect() if grid else chart.mark_point(filled=True, size=90, opacity=1)).encode(
        x=alt.X(**_axis("x", across, grid)), y=alt.Y(**_axis("y", up, grid)), color=shade, tooltip=tooltip
    )
    note = f"Validation result of {across.method}, mean over the runs of a pair; never a result on test rows."
    title = f"{across.method}: {across.name.rpartition('.')[2]} × {up.name.rpartition('.')[2]}"
    return Figure(title, note, declare([marks], 230), ("metric", "x", "y", "mean", "n"), rows)


def _axis(name: str, setting: VariedHyperparameter, grid: bool) -> dict[str, Any]:
    """Arguments of a channel: one step per value in a grid, else a scale."""
    import altair as alt

    axis = {"title": setting.name.rpartition(".")[2], "axis": alt.Axis(format="~g", grid=False)}
    if grid:
        return axis | {"shorthand": f"{name}:O", "sort": "descending" if name == "y" else "ascending"}
    return axis | {
        "shorthand": f"{name}:Q",
        "scale": alt.Scale(type="log" if setting.logarithmic else "linear", zero=False),
    }


def _rows(section: Section, across: VariedHyperparameter, up: VariedHyperparameter) -> list[tuple[Any, ...]]:
    """(metric, x, y, mean, runs) of the validation records of every pair of values."""
    runs = [run for _, run in all_runs(section)]
    pooled: dict[tuple[str, float, float], list[float]] = {}
    for number in across.values.keys() & up.values.keys():
        for r in runs[number].records:
            clean = (r.scenario, r.split, r.group) == ("valid", "valid", "all") and r.protocol == section.protocol.name
            if clean and r.value is not None and r.metric in section.metrics:
                pooled.setdefault((r.metric, across.values[number], up.values[number]), []).append(r.value)
    return [(metric, x, y, fmean(values), len(values)) for (metric, x, y), values in sorted(pooled.items())]
