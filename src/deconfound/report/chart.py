"""What all figures of the report share: the data beside a Vega-Lite declaration, and encodings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deconfound.results.sections import Section

if TYPE_CHECKING:
    import altair as alt

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")


@dataclass(frozen=True)
class Figure:
    """One chart and its data.

    Args:
        title: heading.
        note: what the marks mean, for the caption.
        spec: Vega-Lite over the data named "rows".
        columns: names of the fields. A field named after a control of the page ("metric", "scenario", "group", "view",
            "method") is filtered by it; None passes every choice.
        rows: values in the order of `columns`; None is an undefined number.
        across: the column that a table of the same numbers spreads over its columns; None for no such table.
        follows: the controls that change the figure, beside the visible methods.
        derive: how the page makes the chart's rows from the section's values by run: "scatter" or "sensitivity"; "" if
            `rows` are the chart's rows.
        method: the only method that the figure is about; it is hidden with it. None for all.
        facts: what `derive` needs beside the rows.
    """

    title: str
    note: str
    spec: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    across: str | None = None
    follows: tuple[str, ...] = ("metric",)
    derive: str = ""
    method: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def room(self) -> int:
        """Pixels of height that the page keeps free until the chart is drawn."""
        height = self.spec["height"]
        return height + 70 if isinstance(height, int) else 180

    def packed(self) -> dict[str, Any]:
        """JSON values: each text column as codes into its levels, numbers with five significant digits."""
        levels: dict[str, list[str]] = {}
        packed = [list(row) for row in self.rows]
        for i, name in enumerate(self.columns):
            texts = list(dict.fromkeys(row[i] for row in self.rows if isinstance(row[i], str)))
            if texts:
                levels[name] = texts
            codes = {text: code for code, text in enumerate(texts)}
            for row in packed:
                row[i] = codes[row[i]] if isinstance(row[i], str) else short(row[i])
        return {"columns": list(self.columns), "levels": levels, "rows": packed}


def short(value: Any) -> Any:
    """Five significant digits; None for what JSON cannot hold."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.5g}") if math.isfinite(value) else None


def labels_of(section: Section) -> list[str]:
    """Labels of the rows, in the order of the table."""
    return [row.label for row in section.rows]


def repeat(values: Sequence[str], names: Sequence[str]) -> list[str]:
    """One value per name; the values start again when they run out."""
    return [values[i % len(values)] for i in range(len(names))]


def base_chart(*, needs: str = "mean") -> alt.Chart:
    """A chart of the rows whose field `needs` is defined."""
    import altair as alt

    return alt.Chart(alt.NamedData("rows")).transform_filter(f"isValid(datum.{needs})")


def color(section: Section, **options: Any) -> alt.Color:
    """One colour per method."""
    import altair as alt

    labels = labels_of(section)
    return alt.Color("method:N", title=None, sort=labels, scale=alt.Scale(domain=labels), **options)


def shape(section: Section) -> alt.Shape:
    """One shape per method."""
    import altair as alt

    labels = labels_of(section)
    return alt.Shape("method:N", title=None, sort=labels, scale=alt.Scale(domain=labels, range=repeat(SHAPES, labels)))


def x_of(field: str) -> alt.X:
    """A measured quantity; the chart's title names it, so the axis does not."""
    import altair as alt

    return alt.X(field, title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))


def y_of(field: str) -> alt.Y:
    """A measured quantity on the vertical axis."""
    import altair as alt

    return alt.Y(field, title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))


def interval_tooltip() -> list[Any]:
    """Mean, interval, deviation and number of seeds."""
    import altair as alt

    numbers = [alt.Tooltip(f"{name}:Q", format=".4~f") for name in ("mean", "low", "high", "sd")]
    return [*numbers, alt.Tooltip("n:Q", title="seeds")]


def declare(layers: Sequence[alt.Chart], height: int | Mapping[str, Any]) -> dict[str, Any]:
    """The declaration without data, title, theme and schema address, as wide as its place.

    Args:
        height: pixels, or {"step": pixels of a line} or {"step": pixels of a mark, "for": "offset"}, which the page
            multiplies by the lines that are shown.
    """
    import altair as alt

    spec = alt.layer(*layers).to_dict()
    spec = {name: part for name, part in spec.items() if name not in ("$schema", "config", "datasets")}
    return spec | {"width": "container", "height": height}
