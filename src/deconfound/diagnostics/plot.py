"""A `Diagnosis` as a picture: both parts in two dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deconfound.diagnostics.result import Diagnosis, Picture
from deconfound.errors import DataError
from deconfound.io.chart_file import check_chart_path, write_chart

SIDE = 260
"""Width and height of one chart in pixels."""
TITLES = {"predictive": "Z_inv", "spurious": "Z_spu"}


def part_title(diagnosis: Diagnosis, part: str) -> str:
    """ "Z_inv" and "Z_spu", or "representation" of a method that does not split."""
    return TITLES[part] if diagnosis.splits_features else "representation"


def draw(diagnosis: Diagnosis, path: str | Path) -> Path:
    """Write the picture: both parts in two dimensions, by label and by environment.

    Raises:
        DataError: the ending is neither .html nor .svg, or there are fewer than three rows.
        RunError: the file cannot be written.
    """
    check_chart_path(path)
    if not diagnosis.pictures:
        raise DataError(
            f"{diagnosis.split} has {diagnosis.rows} rows; a picture needs three or more that have a modality"
        )
    return write_chart(chart(diagnosis), path, f"{diagnosis.run}: deconfound diagnose")


def chart(diagnosis: Diagnosis) -> Any:
    """Parts as rows, colour by label and by environment as columns."""
    import altair as alt

    rows = [
        alt.hconcat(
            *(
                _panel(diagnosis, picture, colour)
                for colour in (["label", "environment"] if diagnosis.environments else ["label"])
            )
        ).resolve_scale(color="independent")
        for picture in diagnosis.pictures
    ]
    subtitle = (
        f"{diagnosis.rows} rows of {diagnosis.split}; principal components of standardised features, all modalities"
    )
    title = alt.TitleParams(f"{diagnosis.method}: {diagnosis.run}", subtitle=subtitle)
    return alt.vconcat(*rows).resolve_scale(color="independent").properties(title=title)


def _panel(diagnosis: Diagnosis, picture: Picture, colour: str) -> Any:
    import altair as alt

    columns = zip(picture.x, picture.y, picture.label, picture.environment, strict=True)
    values = [{"x": x, "y": y, "label": label, "environment": env} for x, y, label, env in columns]
    continuous = colour == "label" and bool(picture.label) and isinstance(picture.label[0], float)
    scale = alt.Scale(scheme="viridis" if continuous else "tableau10")
    share = [f"component {i + 1} ({value:.0%})" for i, value in enumerate(picture.explained)]
    return (
        alt.Chart(
            alt.Data(values=values), title=f"{part_title(diagnosis, picture.part)} by {colour}", width=SIDE, height=SIDE
        )
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title=share[0]),
            y=alt.Y("y:Q", title=share[1]),
            color=alt.Color(f"{colour}:{'Q' if continuous else 'N'}", scale=scale),
            tooltip=["label:N", "environment:N"],
        )
    )
