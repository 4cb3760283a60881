"""Charts as files: SVG, or an HTML page that opens offline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from deconfound.errors import DataError
from deconfound.io.files import atomic_write
from deconfound.io.html import page_environment, page_text, plain_values, template_text


def check_chart_path(path: str | Path) -> str:
    """The format that a file's name ends in, "html" or "svg".

    Raises:
        DataError: another ending.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in ("html", "svg"):
        raise DataError(f"{path}: a chart is written as .html or .svg; give it one of these endings")
    return ending


def write_chart(chart: Any, path: str | Path, title: str) -> Path:
    """Write an Altair chart; control characters in its texts, which XML forbids, are dropped.

    Args:
        path: a .html or .svg file, replaced where it exists.
        title: of the page.

    Raises:
        DataError: another ending.
        RunError: the file cannot be written.
    """
    ending = check_chart_path(path)
    declaration = plain_values(chart.to_dict())
    text = _svg(declaration) if ending == "svg" else _page(declaration, title)
    with atomic_write(path) as file:
        file.write(text)
    return Path(path)


def _svg(declaration: dict[str, Any]) -> str:
    import altair as alt

    text = io.StringIO()
    alt.Chart.from_dict(declaration).save(text, format="svg")
    return text.getvalue()


def _page(declaration: dict[str, Any], title: str) -> str:
    shown = {name: value for name, value in declaration.items() if name != "$schema"}
    body = page_environment("deconfound.io").get_template("chart.html").render(declaration=shown)
    style, script = (template_text("deconfound.io", name) for name in ("chart.css", "chart.js"))
    return page_text(title, body, style=style, script=script)
