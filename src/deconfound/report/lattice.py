"""The lattice of present modalities: every measured subset a node, an edge where one modality is taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from deconfound.report.chart import Figure, declare, interval_tooltip
from deconfound.report.figures import MEASURED, measured
from deconfound.results.sections import PRESENT, Row, Section

Subset = tuple[str, ...]


def initials(names: Sequence[str]) -> dict[str, str]:
    """Each name's shortest prefix that no other name shares, its first letter in capitals."""
    short = {}
    for name in names:
        others = [other for other in names if other != name]
        size = next((n for n in range(1, len(name)) if not any(o.startswith(name[:n]) for o in others)), len(name))
        short[name] = name[:1].upper() + name[1:size]
    return short


def positions(subsets: Sequence[Subset]) -> dict[Subset, tuple[float, int]]:
    """(x in (0, 1), number of modalities) of each subset: those of one size side by side, evenly."""
    coordinates = {}
    for size in sorted({len(subset) for subset in subsets}):
        level = [subset for subset in subsets if len(subset) == size]
        for i, subset in enumerate(level):
            coordinates[subset] = ((i + 0.5) / len(level), size)
    return coordinates


def edges(subsets: Sequence[Subset]) -> list[tuple[Subset, Subset]]:
    """(smaller, larger): the measured subsets that contain each other with no measured one between."""
    pairs = [(a, b) for a in subsets for b in subsets if set(a) < set(b)]
    return [(a, b) for a, b in pairs if not any(set(a) < set(c) < set(b) for c in subsets)]


def shades(values: Sequence[float], *, higher_is_better: bool) -> list[float]:
    """0 for the worst value to 1 for the best; all 1 where they agree."""
    low, high = min(values), max(values)
    if high == low:
        return [1.0] * len(values)
    share = [(value - low) / (high - low) for value in values]
    return share if higher_is_better else [1 - part for part in share]


def lattice_figures(section: Section) -> list[Figure]:
    """One figure per method, all with the same shades; empty where no subset of modalities was measured."""
    splits = dict.fromkeys(split for scenario, split in section.scenarios() if scenario.startswith(PRESENT))
    return [figure for split in splits for figure in _on_split(section, split)]


def _on_split(section: Section, split: str) -> list[Figure]:
    by_label = {row.label: _measured_subsets(section, row, split) for row in section.rows}
    scales = {}
    for metric in section.metrics:
        means = [
            by_metric[metric][0] for nodes in by_label.values() for by_metric in nodes.values() if metric in by_metric
        ]
        known = [mean for mean in means if mean is not None]
        shade = shades(known, higher_is_better=section.better(metric) == "higher") if known else []
        scales[metric] = dict(zip(known, shade, strict=True))
    return [_figure(row, split, nodes, scales) for row in section.rows if len(nodes := by_label[row.label]) > 1]


Nodes = Mapping[Subset, Mapping[str, tuple[Any, ...]]]
"""Subset → metric → mean, sd, low, high, n; the whole first, then the larger ones."""


def _measured_subsets(section: Section, row: Row, split: str) -> Nodes:
    full = tuple(modality.rpartition(" (")[0] for modality in row.runs[0].modalities)
    scenario_of = {full: split}
    for scenario, measured_split in section.scenarios():
        kept = set(scenario.removeprefix(PRESENT).split("+"))
        if scenario.startswith(PRESENT) and measured_split == split and kept < set(full):
            scenario_of[tuple(modality for modality in full if modality in kept)] = scenario
    nodes = {}
    for subset, scenario in sorted(
        scenario_of.items(), key=lambda item: (-len(item[0]), [full.index(m) for m in item[0]])
    ):
        values = {metric: section.clean(row, metric, split, scenario=scenario) for metric in section.metrics}
        by_metric = {metric: measured(value) for metric, value in values.items() if value}
        if by_metric:
            nodes[subset] = by_metric
    return nodes


def _figure(row: Row, split: str, nodes: Nodes, scales: Mapping[str, Mapping[float, float]]) -> Figure:
    coordinates = positions(list(nodes))
    letters = initials(max(nodes, key=len))
    joint = " " if any(len(short) > 1 for short in letters.values()) else ""
    rows: list[tuple[Any, ...]] = [
        ("edge", None, None, None, *coordinates[small], *coordinates[large], *[None] * 6)
        for small, large in edges(list(nodes))
    ]
    for subset, by_metric in nodes.items():
        text = joint.join(letters[m] for m in subset)
        for metric, values in by_metric.items():
            shade = scales[metric].get(values[0])
            rows.append(("node", metric, " + ".join(subset), text, *coordinates[subset], None, None, *values, shade))
    sizes = {len(subset) for subset in nodes}
    names = ", ".join(f"{short} {name}" for name, short in letters.items() if short != name)
    note = f"Rows of {split} with these modalities present{f': {names}' if names else ''}. Stronger colour: better."
    columns = ("kind", "metric", "present", "letters", "x", "y", "x2", "y2", *MEASURED, "shade")
    return Figure(row.label, note, _declare(min(sizes), max(sizes)), columns, rows, method=row.label)


@cache
def _declare(smallest: int, largest: int) -> dict[str, Any]:
    import altair as alt

    across = alt.Scale(domain=[0, 1], nice=False)
    upwards = alt.Scale(domain=[smallest - 0.3, largest + 0.5], nice=False)
    x, y = alt.X("x:Q", scale=across, axis=None), alt.Y("y:Q", scale=upwards, axis=None)
    chart = alt.Chart(alt.NamedData("rows"))
    edge = chart.transform_filter("datum.kind === 'edge'").mark_rule(strokeWidth=1, opacity=0.35)
    node = chart.transform_filter("datum.kind === 'node' && isValid(datum.mean)").encode(x=x, y=y)
    shade = alt.Color("shade:Q", scale=alt.Scale(domain=[0, 1]), legend=None)
    dots = node.mark_circle(size=1180, opacity=1, strokeWidth=1)
    light, strong = (node.transform_filter(f"datum.shade {side} 0.6") for side in ("<=", ">"))
    value = alt.Text("mean:Q", format=".3g")
    layers = [
        edge.encode(x=x, y=y, x2="x2:Q", y2="y2:Q"),
        dots.encode(color=shade, tooltip=["present:N", *interval_tooltip()]),
        node.mark_text(dy=-27, fontWeight=600, fontSize=11.5).encode(text="letters:N"),
        light.mark_text(style="ink", fontSize=10.5).encode(text=value),
        strong.mark_text(style="paper", fontSize=10.5).encode(text=value),
    ]
    return declare(layers, 86 * (largest - smallest + 1))
