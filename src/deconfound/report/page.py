"""`build_report`: run or sweep directories in, one self-contained HTML page out."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.io.files import atomic_write
from deconfound.io.reading import resolved
from deconfound.report.section_page import section_page
from deconfound.results.collect_runs import RunFilter, collect_runs
from deconfound.results.sections import Section, build_sections
from deconfound.runs.run_files import RUN

if TYPE_CHECKING:
    from deconfound.references import Reference

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src "
)
_SCRIPTS = ("state.js", "derive.js", "charts.js", "pdf.js", "export.js", "numbers.js", "controls.js")
POINTS = 16_000
"""Points of the learning curves of a page."""


def build_report(
    runs: Sequence[Path],
    out: Path,
    *,
    references: Sequence[Reference] | None = None,
    only: RunFilter | None = None,
) -> Path:
    """Write a page that compares runs: tables, figures that follow the reader's choices, and how to make them again.

    Runs that differ only in their seed share a row; runs on other data or under another protocol get their own section.
    The page needs no network and holds its own scripts; it is written whole or not at all.

    Args:
        runs: directories of finished and evaluated runs, or of finished sweeps, of which the selected runs are compared;
            one named twice counts once.
        out: the HTML file, replaced where it exists.
        references: published numbers, see `deconfound.references.published`; each is shown where its rows, protocol and
            inputs are those of a section, else its source is listed with the reason and without its value.
        only: methods and datasets to show.

    Raises:
        SpecError: `only` names what no run has.
        RunError: no run, a directory that is missing, damaged, unfinished or not evaluated, one specification twice
            with one seed, or `out` cannot be written.
    """
    by_path: dict[Path, Path] = {}
    for run in runs:
        by_path.setdefault(resolved(Path(run), RUN), Path(run))
    sources = list(by_path.values())
    collected = collect_runs(sources, only)
    arguments = only.arguments if only else ()
    page = render(build_sections(collected.runs, collected.trials), [*sources, *arguments], Path(out), references)
    with atomic_write(out) as file:
        file.write(page)
    return Path(out)


def render(
    sections: Sequence[Section],
    sources: Sequence[Path | str] = (),
    out: Path = Path("report.html"),
    references: Sequence[Reference] | None = None,
) -> str:
    """The page as HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from deconfound.report.ranks import critical_figures

    own = "(() => {\n" + "\n".join(_part(name) for name in _SCRIPTS) + "})();"
    environment = Environment(
        loader=PackageLoader("deconfound.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages = [
        section_page(number, section, POINTS // len(sections), sources, out, references or ())
        for number, section in enumerate(sections)
    ]
    specs: dict[str, int] = {}
    return environment.get_template("report.html").render(
        pages=pages,
        across=critical_figures(sections),
        title=_title(sections),
        lede=_lede(sections),
        program=version("deconfound"),
        policy=_POLICY + " ".join(_digest(script) for script in (_vega(), own)),
        style=Markup(_part("report.css") + _part("figures.css")),
        vega=base64.b64encode(gzip.compress(_vega().encode(), mtime=0)).decode(),
        number_of=lambda spec: specs.setdefault(json.dumps(spec), len(specs)),
        specs=lambda: [json.loads(spec) for spec in specs],
        script=Markup(own),
    )


def _title(sections: Sequence[Section]) -> str:
    labels = list(dict.fromkeys(row.label for section in sections for row in section.rows))
    datasets = ", ".join(dict.fromkeys(section.dataset for section in sections))
    methods = f"{', '.join(labels[:-1])} and {labels[-1]}" if len(labels) > 1 else labels[0]
    return f"{methods if len(labels) < 5 else f'{len(labels)} methods'} on {datasets}"


def _lede(sections: Sequence[Section]) -> str:
    runs = {id(run) for section in sections for row in section.rows for run in row.runs if not run.variant}
    tried = {id(run) for section in sections for run in section.trials}
    text = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    text += f", chosen among {len(runs) + len(tried)}." if tried else "."
    if len(sections) > 1:
        text += f" {len(sections)} sections: what differs in data or protocol is never compared."
    return text


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
