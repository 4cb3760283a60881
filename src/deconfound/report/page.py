"""`build_report`: run or sweep directories in, one self-contained HTML page out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.io.files import atomic_write
from deconfound.io.html import page_environment, page_text, template_text
from deconfound.io.reading import resolved
from deconfound.report.fold_tables import folds_parts
from deconfound.report.section_page import section_page
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import RunFilter, collect_runs
from deconfound.results.sections import Section
from deconfound.runs.run_files import RUN

if TYPE_CHECKING:
    from deconfound.references import Reference

_PACKAGE = "deconfound.report"
_SCRIPTS = ("state.js", "derive.js", "charts.js", "pdf.js", "export.js", "numbers.js", "controls.js")
POINTS = 16_000
"""Points of the learning curves of a page."""


def build_report(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "report.html",
    *,
    references: Sequence[Reference] | None = None,
    only: RunFilter | None = None,
) -> Path:
    """Write a page that compares runs: tables, figures that follow the reader's choices, and how to make them again.

    Runs that differ only in their seed share a row; other data and another protocol get their own section, also where one
    run was evaluated on several corpora.
    The page needs no network and holds its own scripts; it is written whole or not at all.

    Args:
        runs: one or more finished and evaluated runs, as `Run` or directory, or directories of finished sweeps, of which the
            selected runs are compared; one named twice counts once.
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
    for run in [runs] if isinstance(runs, str | os.PathLike) else runs:
        by_path.setdefault(resolved(Path(run), RUN), Path(run))
    sources = list(by_path.values())
    collected = collect_runs(sources, only)
    arguments = only.arguments if only else ()
    page = render(build_sections(collected.runs, collected.trials), [*sources, *arguments], Path(out), references)
    with atomic_write(Path(out)) as file:
        file.write(page)
    return Path(out)


def render(
    sections: Sequence[Section],
    sources: Sequence[Path | str] = (),
    out: Path = Path("report.html"),
    references: Sequence[Reference] | None = None,
) -> str:
    """The page as HTML text."""
    from deconfound.report.ranks import critical_figures

    pages = [
        section_page(number, section, POINTS // len(sections), sources, out, references or ())
        for number, section in enumerate(sections)
    ]
    specs: dict[str, int] = {}
    title = _title(sections)
    body = (
        page_environment(_PACKAGE)
        .get_template("report.html")
        .render(
            pages=pages,
            across=critical_figures(sections),
            folded=folds_parts(sections),
            title=title,
            lede=_lede(sections),
            program=version("deconfound"),
            number_of=lambda spec: specs.setdefault(json.dumps(spec), len(specs)),
            specs=lambda: [json.loads(spec) for spec in specs],
        )
    )
    style, script = (
        "\n".join(template_text(_PACKAGE, name) for name in names)
        for names in (("report.css", "figures.css"), _SCRIPTS)
    )
    return page_text(f"{title}: deconfound report", body, style=style, script=script)


def _title(sections: Sequence[Section]) -> str:
    labels = list(dict.fromkeys(row.label for section in sections for row in section.rows))
    datasets = ", ".join(dict.fromkeys(section.dataset for section in sections))
    methods = f"{', '.join(labels[:-1])} and {labels[-1]}" if len(labels) > 1 else labels[0]
    return f"{methods if len(labels) < 5 else f'{len(labels)} methods'} on {datasets}"


def _lede(sections: Sequence[Section]) -> str:
    runs = {run.home for section in sections for row in section.rows for run in row.runs}
    tried = {id(run) for section in sections for run in section.trials}
    text = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    text += f", chosen among {len(runs) + len(tried)}." if tried else "."
    if len(sections) > 1:
        text += f" {len(sections)} sections: what differs in data or protocol is never compared."
    return text
