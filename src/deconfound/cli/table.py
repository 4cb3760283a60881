"""`deconfound table`: results of runs and sweeps as Markdown, LaTeX or CSV."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconfound.errors import SpecError
from deconfound.io.csv_text import RAW_HELP
from deconfound.io.plain_text import unfiltered

if TYPE_CHECKING:
    from deconfound.tables import ComparisonTable


class Format(StrEnum):
    """Output format of a table."""

    md = "md"
    latex = "latex"
    csv = "csv"


class Show(StrEnum):
    """What a cell shows beside or instead of the mean."""

    sd = "sd"
    interval = "interval"
    difference = "difference"


class Test(StrEnum):
    """Test of paired differences."""

    t = "t"
    permutation = "permutation"
    wilcoxon = "wilcoxon"


class Correction(StrEnum):
    """Correction for the number of methods."""

    holm = "holm"
    bh = "benjamini-hochberg"
    bonferroni = "bonferroni"
    none = "none"


def table(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated runs, or sweeps, whose selected runs are compared.")],
    metric: Annotated[list[str] | None, typer.Option(help="Metric; repeat for more; default: the primary one.")] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Scenario; repeat for more; default: every test split.")
    ] = None,
    group: Annotated[str, typer.Option(help="all, 'speaker=anna', or 'worst(speaker)'.")] = "all",
    method: Annotated[list[str] | None, typer.Option(help="Method label; repeat for more; default: all.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset name; repeat for more; default: all.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Method or label, or none; default: erm.")] = None,
    test: Annotated[Test, typer.Option(help="t: over seeds and rows; the others over seeds alone.")] = Test.t,
    correction: Annotated[
        Correction, typer.Option(help="Correction of the tests against the baseline.")
    ] = Correction.holm,
    clusters: Annotated[str, typer.Option(help="Metadata column of rows that belong together, as speaker.")] = "",
    store: Annotated[
        Path | None, typer.Option(help="Store of the dataset, for clusters, if it moved or is another corpus.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Resamples of the rows; 0 for fixed rows.")
    ] = 2000,
    show: Annotated[Show, typer.Option(help="Deviation, interval, or difference from the baseline.")] = Show.sd,
    layout: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.md,
    out: Annotated[Path | None, typer.Option(help="Output file; standard output if left out.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help=RAW_HELP)] = False,
) -> None:
    """Print one table per dataset and protocol: mean ± deviation over seeds, best and tied methods marked, tests named.

    \b
    A scenario with severities is the area under its curve; NAME@LEVEL is one severity:
        deconfound table sweep --metric mae --metric corr --scenario test --scenario gaussian@0.5
        deconfound table runs/* --baseline erm --format latex --out results.tex
    """
    from deconfound.results.collect_runs import RunFilter
    from deconfound.tables import TableSettings, build_tables

    settings = TableSettings(
        metrics=tuple(metric or ()),
        scenarios=tuple(scenario or ()),
        group=group,
        only=RunFilter(tuple(method or ()), tuple(dataset or ())),
        baseline=baseline,
        test=test.value,
        correction=correction.value,
        clusters=clusters,
        store=store,
        resamples=resamples,
    )
    write_tables(build_tables(runs, settings), layout, out, show, raw=raw)


def write_tables(
    tables: list[ComparisonTable], layout: Format, out: Path | None, show: Show = Show.sd, *, raw: bool = False
) -> None:
    """Print tables or write one file; several as CSV become one file each, `out` with dataset and protocol in its name.

    Args:
        raw: write the names in CSV as they are.

    Raises:
        SpecError: several tables as CSV on standard output, where two protocols would share a column.
        RunError: the file cannot be written.
    """
    from deconfound.tables import to_csv, to_latex, to_markdown

    write = {
        Format.md: partial(to_markdown, show=show.value),
        Format.latex: partial(to_latex, show=show.value),
        Format.csv: partial(to_csv, raw=raw),
    }[layout]
    if layout is Format.csv and len(tables) > 1:
        if out is None:
            names = ", ".join(f"{table.dataset} ({table.protocol})" for table in tables)
            raise SpecError(f"there are {len(tables)} tables, which one CSV must not mix: {names}; give --out FILE.csv")
        for path, text in zip(_names(tables, out), map(write, tables), strict=True):
            _save(path, text)
        return
    text = "\n".join(map(write, tables))
    if out is None:
        (unfiltered(sys.stdout) if raw and not sys.stdout.isatty() else sys.stdout).write(text)
    else:
        _save(out, text)


def _names(tables: list[ComparisonTable], out: Path) -> list[Path]:
    from deconfound.io.files import file_stem

    stems = [f"{out.stem}-{file_stem(table.dataset)}-{file_stem(table.protocol)}" for table in tables]
    return [
        out.with_name(stem + (f"-{stems[:number].count(stem) + 1}" if stem in stems[:number] else "") + out.suffix)
        for number, stem in enumerate(stems)
    ]


def _save(path: Path, text: str) -> None:
    from deconfound.io.files import atomic_write

    with atomic_write(path) as file:
        file.write(text)
    print(f"wrote {path}")
