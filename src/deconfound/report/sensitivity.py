"""Sensitivity to a hyper-parameter: its value against the results of every run of the method."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from deconfound.report.chart import SHAPES, Figure, declare
from deconfound.report.conditions import all_runs
from deconfound.results.build_sections import flat_settings
from deconfound.results.sections import Section

MOST = 9
"""Most hyper-parameters of one section that a page shows."""
FEW = 8
"""Distinct values up to which each has its tick, and their means are joined by a line if nothing else differs."""


@dataclass(frozen=True)
class VariedHyperparameter:
    """A numeric setting that differs between runs of one method.

    Args:
        values: number of the run among `all_runs` → value.
        others: names of further settings that differ between these runs.
    """

    method: str
    name: str
    values: dict[int, float]
    others: tuple[str, ...]

    @property
    def distinct(self) -> list[float]:
        return sorted(set(self.values.values()))

    @property
    def logarithmic(self) -> bool:
        """True if all values are positive and span a factor of 20 or more."""
        return self.distinct[0] > 0 and self.distinct[-1] >= 20 * self.distinct[0]


def varied_hyperparameters(section: Section) -> list[VariedHyperparameter]:
    """Every numeric setting with two or more values, method by method; those with the most values first."""
    by_method: dict[str, dict[int, dict[str, str]]] = {}
    for number, (_, run) in enumerate(all_runs(section)):
        if run.variant:
            continue
        by_method.setdefault(run.method, {})[number] = flat_settings(run)
    return [setting for method, runs in by_method.items() for setting in _varied_of(method, runs)]


def _varied_of(method: str, runs: dict[int, dict[str, str]]) -> list[VariedHyperparameter]:
    names = dict.fromkeys(name for settings in runs.values() for name in settings if not name.startswith("data."))
    varied = [name for name in names if len({settings.get(name) for settings in runs.values()}) > 1]
    of_method = []
    for name in varied:
        parsed = {number: _number(settings.get(name)) for number, settings in runs.items()}
        values = {number: value for number, value in parsed.items() if value is not None}
        if len(set(values.values())) > 1:
            of_method.append(
                VariedHyperparameter(method, name, values, tuple(other for other in varied if other != name))
            )
    return sorted(of_method, key=lambda setting: -len(setting.distinct))


def _number(text: str | None) -> float | None:
    value = None if text is None else json.loads(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def sensitivity_figures(section: Section) -> list[Figure]:
    """One figure per hyper-parameter, at most `MOST`: validation, in-distribution and chosen results against its value."""
    return [_figure(setting) for setting in varied_hyperparameters(section)[:MOST]]


def _figure(setting: VariedHyperparameter) -> Figure:
    import altair as alt

    short = setting.name.rpartition(".")[2]
    scale = alt.Scale(type="log") if setting.logarithmic else alt.Scale(zero=False)
    few = len(setting.distinct) <= FEW
    axis = alt.Axis(grid=False, format="~g", labelOverlap="greedy", values=setting.distinct if few else alt.Undefined)
    x = alt.X("x:Q", title=short, scale=scale, axis=axis)
    where = alt.Color("where:N", sort=None, title=None, scale=alt.Scale(range="category"))
    outline = alt.Shape("where:N", sort=None, title=None, scale=alt.Scale(range=list(SHAPES)))
    base = alt.Chart(alt.NamedData("rows")).transform_filter("isValid(datum.y)").encode(x=x, color=where)
    tooltip = ["where:N", "x:Q", alt.Tooltip("y:Q", format=".4~f"), "seed:N", "run:N"]
    free = alt.Scale(zero=False)
    y_axis = alt.Axis(tickCount=5)
    layers = [
        base.mark_point(size=45, filled=True, opacity=0.75).encode(
            y=alt.Y("y:Q", title=None, scale=free, axis=y_axis), shape=outline, tooltip=tooltip
        )
    ]
    if few and not setting.others:
        means = base.mark_line(strokeWidth=1.75).encode(y=alt.Y("mean(y):Q", title=None, scale=free, axis=y_axis))
        layers.insert(0, means)
    note = f"Every run of {setting.method}, trials too: {len(setting.values)} runs, {len(setting.distinct)} values."
    if setting.others:
        names = ", ".join(name.rpartition(".")[2] for name in setting.others[:4])
        note += f" Also different between these runs: {names}{' and more' if len(setting.others) > 4 else ''}."
    rows = list(setting.values.items())
    return Figure(
        f"{setting.method}: {short}",
        note,
        declare(layers, 210),
        ("number", "x"),
        rows,
        follows=("metric", "scenario"),
        derive="sensitivity",
    )
