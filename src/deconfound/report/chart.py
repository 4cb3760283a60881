"""What all figures of the report share: the data beside a Vega-Lite declaration, encodings and parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deconfound.report.compare import Section

if TYPE_CHECKING:
    import altair as alt

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")


@dataclass(frozen=True)
class Figure:
    """One chart and its data.

    Args:
        title: heading.
        note: what the marks mean, for the caption.
        spec: Vega-Lite over the data named "rows"; the parameters are "metric" and "shown", the visible methods.
        columns: names of the fields.
        rows: values in the order of `columns`; None is an undefined number.
        across: the column that a table of the same numbers spreads over its columns; None for no such table.
    """

    title: str
    note: str
    spec: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    across: str | None = None

    def packed(self) -> dict[str, Any]:
        """JSON values: each text column as codes into its levels, numbers with six significant digits."""
        levels: dict[str, list[str]] = {}
        packed = [list(row) for row in self.rows]
        for i, name in enumerate(self.columns):
            texts = list(dict.fromkeys(row[i] for row in self.rows if isinstance(row[i], str)))
            if texts:
                levels[name] = texts
            codes = {text: code for code, text in enumerate(texts)}
            for row in packed:
                row[i] = codes[row[i]] if isinstance(row[i], str) else _short(row[i])
        return {"columns": list(self.columns), "levels": levels, "rows": packed}


def _short(value: Any) -> Any:
    """Six significant digits; None for what JSON cannot hold."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def labels_of(section: Section) -> list[str]:
    return [row.label for row in section.rows]


def repeat(values: Sequence[str], names: Sequence[str]) -> list[str]:
    return [values[i % len(values)] for i in range(len(names))]


def base_chart(section: Section, *, by_metric: bool = True) -> alt.Chart:
    import altair as alt

    chart = alt.Chart(alt.NamedData("rows")).transform_filter("indexof(shown, datum.method) >= 0")
    return chart.transform_filter("datum.metric === metric && isValid(datum.mean)") if by_metric else chart


def color(section: Section, **options: Any) -> alt.Color:
    import altair as alt

    labels = labels_of(section)
    return alt.Color("method:N", title=None, sort=labels, scale=alt.Scale(domain=labels), **options)


def shape(section: Section) -> alt.Shape:
    import altair as alt

    labels = labels_of(section)
    return alt.Shape("method:N", title=None, sort=labels, scale=alt.Scale(domain=labels, range=repeat(SHAPES, labels)))


def x_of(field: str) -> alt.X:
    """A measured quantity; the chart's title names it, so the axis does not."""
    import altair as alt

    return alt.X(field, title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))


def y_of(field: str) -> alt.Y:
    import altair as alt

    return alt.Y(field, title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))


def declare(section: Section, layers: Sequence[alt.Chart], height: int, title: str | None = None) -> dict[str, Any]:
    """The declaration without data, theme and schema address; `metric` and `shown` become its parameters."""
    import altair as alt

    spec = alt.layer(*layers).to_dict()
    directions = {metric: f"{metric} · {section.better(metric)} is better" for metric in section.metrics}
    shown = {"expr": f"({json.dumps(directions)})[metric]"} if title is None else title
    spec = {name: part for name, part in spec.items() if name not in ("$schema", "config", "datasets")}
    return spec | {
        "title": {"text": shown, "anchor": "start"},
        "width": "container",
        "height": height,
        "params": [{"name": "metric", "value": section.metrics[0]}, {"name": "shown", "value": labels_of(section)}],
    }
