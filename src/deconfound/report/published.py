"""Published numbers beside the measured ones, only where rows, protocol and inputs are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deconfound.report.result_tables import (
    ABSENT,
    ResultLine,
    ResultTable,
    ScenarioColumn,
    ValueCell,
    decimals,
    spread_cell,
)
from deconfound.results.sections import Row, Section
from deconfound.results.spread import spread

if TYPE_CHECKING:
    from deconfound.references import Reference


@dataclass(frozen=True)
class CheckedReference:
    """A published number; `reason` says why it is not comparable, and is "" where it is."""

    reference: Reference
    reason: str


def check_references(section: Section, references: Sequence[Reference]) -> list[CheckedReference]:
    """Every reference on the section's dataset, compared with the rows, protocol and inputs of the section's reference."""
    from deconfound.errors import SpecError
    from deconfound.references import comparable, dataset_name

    try:
        own = dataset_name(section.dataset)
    except SpecError:
        return []
    first = section.reference.runs[0]
    checked = []
    for reference in references:
        if reference.dataset == own and not section.trained_here:
            checked.append(CheckedReference(reference, "our methods were trained on other data"))
        elif reference.dataset == own:
            is_same, reason = comparable(reference, section.dataset, section.protocol.name, first.splits, first.inputs)
            if is_same and reference.metric not in section.metrics:
                is_same, reason = False, f"{reference.metric} was not measured here"
            checked.append(CheckedReference(reference, "" if is_same else reason or "the source does not say enough"))
    return checked


def published_table(section: Section, checked: Sequence[CheckedReference]) -> ResultTable | None:
    """Our means on the in-distribution split above the comparable published numbers; None without any.

    Of our methods only those with the inputs of the section's reference, which the published numbers were compared with.
    """
    same = [candidate.reference for candidate in checked if not candidate.reason]
    if not same or section.in_split is None:
        return None
    metrics = [metric for metric in section.metrics if any(reference.metric == metric for reference in same)]
    lines = [_our_line(section, row, metrics, style) for style, row in enumerate(section.rows)]
    inputs = section.reference.runs[0].inputs
    lines = [line for line, row in zip(lines, section.rows, strict=True) if row.runs[0].inputs == inputs]
    for published_by in dict.fromkeys((reference.method, reference.citation, reference.backbone) for reference in same):
        values = {
            reference.metric: reference
            for reference in same
            if (reference.method, reference.citation, reference.backbone) == published_by
        }
        lines.append(
            ResultLine(published_by[0], published_by[1], None, tuple(_cell(values.get(metric)) for metric in metrics))
        )
    columns = tuple(ScenarioColumn(metric, note=f"{section.better(metric)} is better") for metric in metrics)
    caption = f"{section.protocol.name} on {section.in_split}: mean ± standard deviation of this report, and published"
    return ResultTable("", caption, "Method", columns, tuple(lines))


def _our_line(section: Section, row: Row, metrics: Sequence[str], style: int) -> ResultLine:
    measured = [spread(section.clean(row, metric, section.in_split or "").values()) for metric in metrics]
    cells = tuple(spread_cell(measured_spread, decimals([measured_spread.mean])) for measured_spread in measured)
    return ResultLine(row.label, "this report", style, cells)


def _cell(reference: Reference | None) -> ValueCell:
    from deconfound.references.published import shown

    return ValueCell(ABSENT) if reference is None else ValueCell(shown(reference), reference.value)


def not_comparable(checked: Sequence[CheckedReference]) -> list[tuple[str, list[str]]]:
    """(reason, methods by source) of everything that is not shown; the numbers themselves are left out."""
    reasons: dict[str, dict[str, dict[str, None]]] = {}
    for candidate in checked:
        if candidate.reason:
            by_source = reasons.setdefault(candidate.reason, {})
            by_source.setdefault(candidate.reference.citation, {})[candidate.reference.method] = None
    return [
        (reason, [f"{', '.join(methods)} ({source})" for source, methods in methods_by_source.items()])
        for reason, methods_by_source in reasons.items()
    ]
