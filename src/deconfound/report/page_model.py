"""What the templates show of a section, as data: panels of figures, verdicts, tables, cards and notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deconfound.report.chart import Figure
from deconfound.report.reproduce import Recipe
from deconfound.report.result_tables import ResultTable
from deconfound.results.sections import Section

MOST_SHOWN = 8
"""Methods that the figures show before the reader chooses."""


@dataclass(frozen=True)
class VerdictSentence:
    """One finding of a diagnosis: the question, its answer, and True for `alarm` where the reader should be warned."""

    question: str
    answer: str
    text: str
    alarm: bool


@dataclass(frozen=True)
class DiagnosticVerdict:
    """The findings about one run on one split."""

    title: str
    sentences: tuple[VerdictSentence, ...]


@dataclass(frozen=True)
class Panel:
    """Figures under one heading.

    Args:
        key: part of the element ids of the figures.
        figures: pairs of a figure and its width, "wide" or "".
        kind: "" for figures of normal width, "many" for narrow ones, "loose" for neighbors of different height.
        views: True where the reader can choose between values and differences.
        tables: tables above the figures.
        verdicts: sentences about runs, below the figures.
    """

    key: str
    heading: str
    intro: str
    figures: Sequence[tuple[Figure, str]]
    kind: str = ""
    views: bool = False
    tables: Sequence[ResultTable] = ()
    verdicts: Sequence[DiagnosticVerdict] = ()


@dataclass(frozen=True)
class SectionPage:
    """A section and everything that the page shows of it.

    Args:
        key: prefix of the section's element ids.
        selection: how runs and epochs were chosen.
        oracle: True if some run was chosen by its test rows.
        test_access: how often test rows were predicted.
        results, paired, groups: one table per metric.
        shift: the figure beside the results.
        cards: what each method is and how it was trained.
        notices: what a reader must know before comparing.
        published, incomparable: published numbers beside ours; for the numbers that are not shown, the reason and the
            methods.
        shared: data of the page's scripts.
        choices: (heading, (key, label)…) of the conditions that the reader can choose.
        chosen: key of the condition that the page begins with.
        choosable: groups that the reader can choose.
        shown: number of methods that the figures show at first.
    """

    key: str
    section: Section
    selection: str
    oracle: bool
    test_access: str
    results: Sequence[ResultTable]
    paired: Sequence[ResultTable]
    groups: Sequence[ResultTable]
    shift: Figure | None
    panels: Sequence[Panel]
    cards: Sequence[Mapping[str, Any]]
    notices: Sequence[str]
    published: ResultTable | None
    incomparable: Sequence[tuple[str, list[str]]]
    recipe: Recipe
    shared: Mapping[str, Any]
    choices: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    chosen: str
    choosable: Sequence[str]
    shown: int = MOST_SHOWN
