"""What the page shows of a section, collected from its runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.protocol import label_range_warning
from deconfound.report.conditions import (
    choices,
    choosable_groups,
    conditions,
    first_choice,
    packed_runs,
    run_values,
)
from deconfound.report.page_model import MOST_SHOWN, SectionPage
from deconfound.report.panels import section_panels
from deconfound.report.published import check_references, not_comparable, published_table
from deconfound.report.reliability import kept_predictions
from deconfound.report.reproduce import Recipe, recipe
from deconfound.report.result_tables import ResultTable, duration, groups_table, paired_table, results_table
from deconfound.results.build_sections import flat_settings
from deconfound.results.collect_runs import ORACLE
from deconfound.results.run_result import RunResult
from deconfound.results.sections import Row, Section

if TYPE_CHECKING:
    from deconfound.references import Reference

MOST_CELLS = 1500
"""Most cells of the group tables of all metrics together; with more, only the first metric has a table."""
SELECTION = "best epoch by validation risk; test rows never read in training"


def section_page(
    number: int,
    section: Section,
    points: int,
    sources: Sequence[Path | str],
    out: Path,
    references: Sequence[Reference],
) -> SectionPage:
    """Collect everything that the page shows of a section.

    Args:
        number: number of the section, from 0.
        points: number of points that its learning curves may have together.
        sources, out: the arguments of the report.
        references: published numbers.

    Raises:
        RunError: a file that a run keeps beside its records is damaged.
    """
    from deconfound.report.figures import shift_figure

    commands, checked = recipe(section, sources, out), check_references(section, references)
    return SectionPage(
        key=f"s{number + 1}",
        section=section,
        selection=selection_text(section),
        oracle=ORACLE in section.rules,
        test_access=_test_access(section),
        results=[results_table(section, metric) for metric in section.metrics],
        paired=[table for metric in section.metrics if (table := paired_table(section, metric))],
        groups=_group_tables(section),
        shift=shift_figure(section),
        panels=section_panels(section, points),
        cards=[_card(section, row) for row in section.rows],
        notices=_notices(section),
        published=published_table(section, checked),
        incomparable=not_comparable(checked),
        recipe=commands,
        shared=_shared(section, commands),
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


def _test_access(section: Section) -> str:
    counts = [len(run.test_accesses) for row in section.rows for run in row.runs]
    if not any(counts):
        return "no log of when the test rows were predicted"
    return f"predicted {_range(counts)} time{'s' * (max(counts) > 1)} per run, as its test_access.jsonl says"


def _group_tables(section: Section) -> list[ResultTable]:
    first = groups_table(section, section.metrics[0])
    if first is None:
        return []
    many = len(first.lines) * len(first.columns) * len(section.metrics) > MOST_CELLS
    others = [] if many else [groups_table(section, metric) for metric in section.metrics[1:]]
    return [first, *(table for table in others if table)]


def _shared(section: Section, commands: Recipe) -> dict[str, Any]:
    """Data of a section that the page's scripts need beside its figures."""
    return {
        "better": {metric: section.better(metric) for metric in section.metrics},
        "inside": section.in_split,
        "reference": section.reference.label,
        "labels": {c.key: c.label for c in conditions(section)} | dict.fromkeys(section.development[1:], "validation"),
        "splits": [condition.key for condition in conditions(section) if condition.kind == "split"],
        "runs": packed_runs(section),
        "values": run_values(section),
        "recipe": {"before": commands.before, "runs": commands.runs, "after": commands.after},
    }


def _card(section: Section, row: Row) -> dict[str, Any]:
    first = row.runs[0]
    epochs = [run.best_epoch for run in row.runs]
    return {
        "label": row.label,
        "method": first.method,
        "modalities": first.modalities,
        "trained": "" if section.trained_here else f"{first.dataset}, checksum {first.checksum[:12]}",
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


def _software(run: RunResult) -> dict[str, str]:
    """Software versions and source revision of one run, as one flat mapping."""
    software = {}
    for part in ("versions", "git"):
        values = run.environment.get(part)
        for name, value in values.items() if isinstance(values, dict) else ():
            software[f"{part}.{name}"] = str(value)
    return software


def _notices(section: Section) -> list[str]:
    notices = []
    if len({row.seeds for row in section.rows}) > 1:
        notices.append("The methods were not run with the same seeds; paired differences use the common seeds only.")
    single = [row.label for row in section.rows if len(row.seeds) == 1]
    if single:
        notices.append(f"One seed only, so no deviation is known: {_listed(single)}.")
    if len({str(_software(run)) for row in section.rows for run in row.runs}) > 1:
        notices.append("The runs were made with different versions of the software or its source; see “Regenerate”.")
    if not section.trained_here:
        notices.append("The methods were trained on other data than these rows, so no split counts as in distribution.")
    if len(section.rules) > 1:
        notices.append("The runs were chosen by different selection rules, so the comparison is not fair.")
    if len(section.rows) > MOST_SHOWN:
        notices.append(f"The figures begin with {MOST_SHOWN} of {len(section.rows)} methods; the tables have all.")
    return [*notices, *_label_notices(section)]


def _label_notices(section: Section) -> list[str]:
    """Test labels that leave the protocol's range, or are of one class only."""
    notices = []
    for split in section.splits:
        kept = (kept_predictions(run, split) for row in section.rows for run in row.runs)
        predictions = next((one for one in kept if one is not None), None)
        if predictions is None:
            continue
        warning = label_range_warning(section.protocol.name, predictions.target)
        if warning is not None:
            notices.append(f"{split}: {warning}.")
        if section.protocol.kind == "classification" and len(set(predictions.target.tolist())) == 1:
            notices.append(f"{split} has rows of one class only, so its F1 and recall say nothing about the others.")
    return notices


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:6])} and {len(names) - 6} more"
