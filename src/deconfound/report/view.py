"""A section as the template wants it: tables, panels of figures, cards, notices and the data that the figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.report.chart import Figure
from deconfound.report.conditions import choices, choosable_groups, first_choice, packed_runs, places, run_values
from deconfound.report.published import judge, not_comparable, published_table
from deconfound.report.reproduce import Recipe, recipe
from deconfound.report.tables import Table, duration, groups_table, paired_table, results_table
from deconfound.results.compare import Row, Section, flat_settings
from deconfound.results.gather import ORACLE
from deconfound.results.run_result import Run

if TYPE_CHECKING:
    from deconfound.references import Reference
    from deconfound.report.diagnostics import DiagnosticVerdict

MOST_SHOWN = 8
"""Methods that the figures show before the reader chooses."""
MOST_CELLS = 1500
"""Cells of the group tables of all metrics together; beyond them only the first metric has a table."""
SELECTION = "best epoch by validation risk; test rows never read in training"


@dataclass(frozen=True)
class Panel:
    """Figures under one heading.

    Args:
        key: part of their ids.
        figures: each with "wide" or "".
        kind: "" for figures of normal width, "many" for narrow ones, "loose" for neighbours of different height.
        views: True where the reader can choose between values and differences.
        tables: above the figures.
        verdicts: below them, sentences about runs.
    """

    key: str
    heading: str
    intro: str
    figures: Sequence[tuple[Figure, str]]
    kind: str = ""
    views: bool = False
    tables: Sequence[Table] = ()
    verdicts: Sequence[DiagnosticVerdict] = ()


@dataclass(frozen=True)
class View:
    """A section and everything shown of it.

    Args:
        key: prefix of the section's element ids.
        selection: how runs and epochs were chosen.
        oracle: True if some run was chosen by its test rows.
        openings: how often test rows were predicted.
        results, paired, groups: one table per metric.
        shift: the figure beside the results.
        cards: what each method is and how it was trained.
        notices: what a reader must know before comparing.
        published, incomparable: others' numbers beside ours; reasons and methods of those that are not shown.
        shared: data of the page's scripts.
    """

    key: str
    section: Section
    selection: str
    oracle: bool
    openings: str
    results: Sequence[Table]
    paired: Sequence[Table]
    groups: Sequence[Table]
    shift: Figure | None
    panels: Sequence[Panel]
    cards: Sequence[Mapping[str, Any]]
    notices: Sequence[str]
    published: Table | None
    incomparable: Sequence[tuple[str, list[str]]]
    recipe: Recipe
    shared: Mapping[str, Any]
    choices: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    chosen: str
    choosable: Sequence[str]
    shown: int = MOST_SHOWN

    def panel(self, key: str) -> Panel | None:
        """The panel of a key, None where there is nothing to show."""
        return next((panel for panel in self.panels if panel.key == key), None)


def view(
    number: int,
    section: Section,
    points: int,
    sources: Sequence[Path | str],
    out: Path,
    references: Sequence[Reference],
) -> View:
    """Everything of a section.

    Args:
        number: of the section, from 0.
        points: that its learning curves may have together.
        sources, out: of the report.
        references: published numbers.
    """
    from deconfound.report.figures import shift_figure

    made, judged = recipe(section, sources, out), judge(section, references)
    return View(
        key=f"s{number + 1}",
        section=section,
        selection=selection_text(section),
        oracle=ORACLE in section.rules,
        openings=_openings(section),
        results=[results_table(section, metric) for metric in section.metrics],
        paired=[table for metric in section.metrics if (table := paired_table(section, metric))],
        groups=_group_tables(section),
        shift=shift_figure(section),
        panels=[panel for panel in _panels(section, points) if panel.figures or panel.tables],
        cards=[_card(section, row) for row in section.rows],
        notices=_notices(section),
        published=published_table(section, judged),
        incomparable=not_comparable(judged),
        recipe=made,
        shared=_shared(section, made),
        choices=choices(section),
        chosen=first_choice(section),
        choosable=choosable_groups(section),
    )


def selection_text(section: Section) -> str:
    """How epochs and hyper-parameters were chosen."""
    rules = [rule for rule in section.rules if rule]
    if not rules:
        return SELECTION
    named = " and ".join(f"“{rule}”" for rule in rules)
    part = "" if "" not in section.rules else " for the runs of a sweep"
    if ORACLE in rules:
        return f"best epoch by validation risk; hyper-parameters by the rule {named}{part}, WHICH LOOKS AT TEST ROWS"
    return f"{SELECTION}; hyper-parameters by the rule {named}{part}, on validation records alone"


def _openings(section: Section) -> str:
    counts = [len(run.test_accesses) for row in section.rows for run in row.runs]
    if not any(counts):
        return "no log of when the test rows were predicted"
    return f"predicted {_range(counts)} time{'s' * (max(counts) > 1)} per run, as its test_access.jsonl says"


def _group_tables(section: Section) -> list[Table]:
    first = groups_table(section, section.metrics[0])
    if first is None:
        return []
    many = len(first.lines) * len(first.columns) * len(section.metrics) > MOST_CELLS
    others = [] if many else [groups_table(section, metric) for metric in section.metrics[1:]]
    return [first, *(table for table in others if table)]


def _panels(section: Section, points: int) -> list[Panel]:
    from deconfound.report.diagnostics import diagnosis_panels
    from deconfound.report.figures import curve_figures, group_figure, missing_figures
    from deconfound.report.lattice import lattice_figures
    from deconfound.report.learning import learning_figures
    from deconfound.report.modalities import contribution_figures, disagreement_figures, masked_figures
    from deconfound.report.pairs import pair_figures
    from deconfound.report.ranks import rank_figure
    from deconfound.report.reliability import calibration
    from deconfound.report.scatter import scatter_figure
    from deconfound.report.sensitivity import sensitivity_figures

    both = [figure for figure in (scatter_figure(section), rank_figure(section)) if figure]
    curves, grouped, calibrated = curve_figures(section), group_figure(section), calibration(section)
    paired, turned = len(section.rows) > 1, [*sensitivity_figures(section), *pair_figures(section)]
    found = [*contribution_figures(section), *masked_figures(section)]
    apart = [(figure, "wide") for figure in disagreement_figures(section)]
    return [
        Panel("shift", "Under shift", _SHIFT, [(figure, "wide" * (len(both) == 1)) for figure in both], "loose"),
        Panel("robust", "Robustness", _ROBUST, _laid_out(curves), views=paired and bool(curves)),
        Panel("missing", "Missing modalities", _MISSING, [(figure, "wide") for figure in missing_figures(section)]),
        Panel("lattice", "Subsets of modalities", _LATTICE, [(f, "") for f in lattice_figures(section)], "many"),
        Panel("modalities", "Modalities", _APART, [*apart, *((f, "") for f in found)]),
        Panel("groups", "Groups", _GROUPS, [(grouped, "wide")] if grouped else []),
        Panel(
            "calibration",
            "Calibration",
            _CALIBRATION,
            [(calibrated[1], "")] if calibrated else [],
            tables=[calibrated[0]] if calibrated else [],
        ),
        *diagnosis_panels(section),
        Panel("knobs", "Hyper-parameters", _knobs_intro(section), [(f, "") for f in turned], "many"),
        Panel("learning", "Learning curves", _LEARNING, [(f, "") for f in learning_figures(section, points)], "many"),
    ]


def _knobs_intro(section: Section) -> str:
    from deconfound.report.sensitivity import MOST, knobs

    count = len(knobs(section))
    return _KNOBS if count <= MOST else f"{_KNOBS} Shown are {MOST} of {count} settings."


def _laid_out(figures: Sequence[Figure]) -> list[tuple[Figure, str]]:
    """Two side by side; a single last one over the whole width."""
    alone = len(figures) - 1 if len(figures) % 2 else -1
    return [(figure, "wide" if i == alone else "") for i, figure in enumerate(figures)]


_SHIFT = "Is a method better where the data changed, or only better everywhere? Scenario and group are chosen above."
_ROBUST = "The same weights on damaged inputs."
_MISSING = "The same weights with modalities taken away."
_LATTICE = (
    "Each node is a set of present modalities; downwards one is taken away. All methods share one scale of shades."
)
_APART = "Which modality carries the prediction; deconfound predominance measures it for one run, with intervals."
_GROUPS = "Each environment of the chosen split by itself: a mean over all rows can hide a group that is served badly."
_CALIBRATION = "Whether a probability can be taken at its word, on undamaged rows."
_KNOBS = (
    "Results of every run against the settings in which the runs of a method differ. Choosing a setting by anything but "
    "validation makes the test result an overestimate."
)
_LEARNING = (
    "Every logged term; the total is weighted, the others are not. Solid: training; dashed: validation. "
    "Bold: mean over the seeds that reached the epoch; thin: each seed."
)


def _shared(section: Section, made: Recipe) -> dict[str, Any]:
    """What the page's scripts need of a section beside its figures."""
    return {
        "better": {metric: section.better(metric) for metric in section.metrics},
        "inside": section.in_split,
        "reference": section.reference.label,
        "labels": {place.key: place.label for place in places(section)} | {"valid": "validation"},
        "splits": [place.key for place in places(section) if place.kind == "split"],
        "runs": packed_runs(section),
        "values": run_values(section),
        "recipe": {"before": made.before, "runs": made.runs, "after": made.after},
    }


def _card(section: Section, row: Row) -> dict[str, Any]:
    first = row.runs[0]
    epochs = [run.best_epoch for run in row.runs]
    return {
        "label": row.label,
        "method": first.method,
        "modalities": first.modalities,
        "trained": "" if section.checksum else f"{first.dataset}, checksum {first.checksum[:12]}",
        "rule": first.rule,
        "seeds": ", ".join(map(str, row.seeds)),
        "parameters": f"{first.parameters:,}".replace(",", " "),
        "epochs": f"{_range(epochs)} of {_range([run.epochs for run in row.runs])}",
        "time": duration(sum(run.seconds for run in row.runs) / len(row.runs)),
        "settings": {name: text[:400] for name, text in flat_settings(first).items()},
        "runs": row.runs,
    }


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)}–{max(values)}"


def _surroundings(run: Run) -> dict[str, str]:
    """Versions and revision of one run, flat."""
    found = {}
    for part in ("versions", "git"):
        values = run.environment.get(part)
        for name, value in values.items() if isinstance(values, dict) else ():
            found[f"{part}.{name}"] = str(value)
    return found


def _notices(section: Section) -> list[str]:
    found = []
    if len({row.seeds for row in section.rows}) > 1:
        found.append("The methods were not run with the same seeds; paired differences use the common ones only.")
    single = [row.label for row in section.rows if len(row.seeds) == 1]
    if single:
        found.append(f"One seed only, so no deviation is known: {_listed(single)}.")
    if len({str(_surroundings(run)) for row in section.rows for run in row.runs}) > 1:
        found.append("The runs were made with different versions of the software or its source; see “Regenerate”.")
    if not section.checksum:
        found.append("The methods were trained on other data than these rows, so no split counts as in distribution.")
    if len(section.rules) > 1:
        found.append("The runs were chosen by different rules of selection; they are not on an equal footing.")
    if len(section.rows) > MOST_SHOWN:
        found.append(f"The figures begin with {MOST_SHOWN} of {len(section.rows)} methods; the tables have all.")
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:6])} and {len(names) - 6} more"
