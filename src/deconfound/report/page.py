"""`build_report`: run directories in, one self-contained HTML page out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.files import whole_file
from deconfound.report.compare import Row, Section, build_sections, flat_settings
from deconfound.report.read import Run, read_run
from deconfound.report.tables import Table, groups_table, paired_table, results_table

if TYPE_CHECKING:
    from deconfound.report.chart import Figure

_LEARNING = (
    "Every logged term; the total is weighted, the others are not. Solid: training; dashed: validation. "
    "Bold: mean over the seeds that reached the epoch; thin: each seed."
)
_ROBUSTNESS = "The same weights on damaged inputs."
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src "
)
SELECTION = "best epoch by validation risk; test rows never read in training"


def build_report(runs: Sequence[Path], out: Path) -> Path:
    """Write a page that compares runs: tables, robustness and learning curves, and what was trained on what.

    Runs that differ only in their seed share a row; runs on other data or under another protocol get their own section.
    The page needs no network and holds its own scripts; it is written whole or not at all.

    Args:
        runs: directories of finished and evaluated runs; one named twice counts once.
        out: the HTML file, replaced where it exists.

    Raises:
        RunError: no run, a directory that is missing, damaged, unfinished or not evaluated, one specification twice
            with one seed, or `out` cannot be written.
    """
    folders = {Path(run).resolve(): Path(run) for run in runs}
    sections = build_sections([read_run(folder) for folder in folders.values()])
    page = render(sections)
    with whole_file(out) as file:
        file.write(page)
    return Path(out)


def render(sections: Sequence[Section]) -> str:
    """The page as HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    scripts = [_vega(), _part("report.js")]
    views = [_view(i, section, 24_000 // len(sections)) for i, section in enumerate(sections)]
    environment = Environment(
        loader=PackageLoader("deconfound.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        views=views,
        title=_title(sections),
        lede=_lede(sections),
        selection=SELECTION,
        program=version("deconfound"),
        policy=_POLICY + " ".join(_digest(script) for script in scripts),
        style=Markup(_part("report.css")),
        scripts=[Markup(script) for script in scripts],
    )


def _title(sections: Sequence[Section]) -> str:
    labels = list(dict.fromkeys(row.label for section in sections for row in section.rows))
    datasets = ", ".join(dict.fromkeys(section.dataset for section in sections))
    methods = f"{', '.join(labels[:-1])} and {labels[-1]}" if len(labels) > 1 else labels[0]
    return f"{methods if len(labels) < 5 else f'{len(labels)} methods'} on {datasets}"


def _lede(sections: Sequence[Section]) -> str:
    runs = {id(run) for section in sections for row in section.rows for run in row.runs}
    text = f"{len(runs)} run{'s' * (len(runs) != 1)}."
    if len(sections) > 1:
        text += f" {len(sections)} sections: what differs in data or protocol is never compared."
    return text


@dataclass(frozen=True)
class View:
    """A section as the template wants it.

    Args:
        key: prefix of the section's element ids.
        results, paired, groups: one table per metric.
        shift: the figure beside the results.
        panels: (heading, introduction, figures with "wide", "narrow" or "").
        cards: what each method is and how it was trained.
        notices: what a reader must know before comparing.
    """

    key: str
    section: Section
    results: Sequence[Table]
    paired: Sequence[Table]
    groups: Sequence[Table]
    shift: Figure | None
    panels: Sequence[tuple[str, str, Sequence[tuple[Figure, str]]]]
    cards: Sequence[Mapping[str, Any]]
    notices: Sequence[str]


def _view(number: int, section: Section, points: int) -> View:
    from deconfound.report.figures import curve_figures, missing_figures, shift_figure
    from deconfound.report.learning import learning_figures

    curves = curve_figures(section)
    pairs_up = "" if len(curves) % 2 else "wide"
    robust = [(figure, "") for figure in curves] + [(figure, pairs_up) for figure in missing_figures(section)]
    return View(
        key=f"s{number + 1}",
        section=section,
        results=[results_table(section, metric) for metric in section.metrics],
        paired=[table for metric in section.metrics if (table := paired_table(section, metric))],
        groups=[table for metric in section.metrics if (table := groups_table(section, metric))],
        shift=shift_figure(section),
        panels=[
            ("Robustness", _ROBUSTNESS, robust),
            ("Learning curves", _LEARNING, [(figure, "narrow") for figure in learning_figures(section, points)]),
        ],
        cards=[_card(section, row) for row in section.rows],
        notices=_notices(section),
    )


def _card(section: Section, row: Row) -> dict[str, Any]:
    first = row.runs[0]
    epochs = [run.best_epoch for run in row.runs]
    return {
        "label": row.label,
        "method": first.method,
        "modalities": first.modalities,
        "trained": "" if section.checksum else f"{first.dataset}, checksum {first.checksum[:12]}",
        "seeds": ", ".join(map(str, row.seeds)),
        "parameters": f"{first.parameters:,}".replace(",", " "),
        "epochs": f"{_range(epochs)} of {_range([run.epochs for run in row.runs])}",
        "time": duration(sum(run.seconds for run in row.runs) / len(row.runs)),
        "settings": {name: text[:400] for name, text in flat_settings(first).items()},
        "surroundings": _surroundings(first),
        "runs": row.runs,
    }


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)}–{max(values)}"


def duration(seconds: float) -> str:
    """42 s, 3 min 10 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _surroundings(run: Run) -> dict[str, str]:
    """Versions and revision of one run, flat and short."""
    command = run.environment.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    found = {"command": " ".join([Path(words[0]).name, *words[1:]])[:400]} if words else {}
    for part in ("versions", "git"):
        values = run.environment.get(part)
        for name, value in values.items() if isinstance(values, dict) else ():
            found[f"{part}.{name}"] = str(value)[:400]
    return found


def _notices(section: Section) -> list[str]:
    found = []
    if len({row.seeds for row in section.rows}) > 1:
        found.append("The methods were not run with the same seeds; paired differences use the common ones only.")
    single = [row.label for row in section.rows if len(row.seeds) == 1]
    if single:
        found.append(f"One seed only, so no deviation is known: {', '.join(single)}.")
    if len({str({**_surroundings(run), "command": ""}) for row in section.rows for run in row.runs}) > 1:
        found.append(
            "The runs were made with different versions of the software or its source; see each method's settings."
        )
    if not section.checksum:
        found.append("The methods were trained on other data than these rows, so no split counts as in distribution.")
    return found


def _part(name: str) -> str:
    return (files("deconfound.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega-Embed, Vega-Lite and Vega as one script that sets `vegaEmbed`."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    assert "</script" not in bundle.lower()
    assert "<!--" not in bundle
    return bundle


def _digest(script: str) -> str:
    """The content security policy's source expression for one inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
