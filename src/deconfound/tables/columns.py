"""Columns of a table: one metric under one scenario, as a weighted sum of what was measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isclose

from deconfound.errors import SpecError, did_you_mean
from deconfound.metric import Measure
from deconfound.results.sections import Section
from deconfound.statistics import area_weights


@dataclass(frozen=True)
class Component:
    """One part of a column: a scenario at a severity, its repeats averaged, times a weight."""

    scenario: str
    severity: float
    weight: float


@dataclass(frozen=True)
class MetricColumn:
    """One metric under one scenario.

    Args:
        scenario: as the user names it: "test-flip", "gaussian", or "gaussian@0.5" for one severity.
        split: that the rows are from.
        metric: its name.
        measure: what it computes.
        group: "all", an environment or the worst of them.
        pieces: components whose weighted sum is the value.
        note: explanation of a value that is a weighted sum, "" elsewhere.
    """

    scenario: str
    split: str
    metric: str
    measure: Measure
    group: str
    pieces: tuple[Component, ...]
    note: str = ""

    @property
    def title(self) -> str:
        """Such as "mse test-flip"."""
        return f"{self.metric} {self.scenario}" + ("" if self.group == "all" else f" {self.group}")


def choose_columns(
    section: Section, metrics: Sequence[str], scenarios: Sequence[str], group: str
) -> tuple[MetricColumn, ...]:
    """Columns of a section: each scenario under each metric.

    Args:
        metrics: the protocol's primary one if empty; those that the protocol does not know are left out.
        scenarios: every test split if empty; those that were not evaluated here are left out.
    """
    split_of = _scenarios(section)
    chosen = list(dict.fromkeys(_canonical(split_of, name) for name in scenarios)) or [
        split for split in section.splits if split in split_of
    ]
    measures = section.protocol.measures(metrics)
    columns = [
        column
        for metric in (metrics or [section.protocol.primary])
        if metric in measures
        for scenario in chosen
        if (column := _column(section, split_of, scenario, metric, measures[metric], group)) is not None
    ]
    return tuple(columns)


def check_names(sections: Sequence[Section], metrics: Sequence[str], scenarios: Sequence[str], group: str) -> None:
    """Check that some section has each name.

    Raises:
        SpecError: no section has a metric, scenario, severity or group.
    """
    known = {name for section in sections for name in section.protocol.measures(metrics)}
    for metric in metrics:
        if metric not in known:
            raise SpecError(f"no protocol of these runs has a metric {metric!r}{did_you_mean(metric, known)}")
    for scenario in scenarios:
        if not any(_pieces(section, _scenarios(section), scenario)[0] for section in sections):
            raise SpecError(f"no scenario {scenario!r} was evaluated{_instead(sections, scenario)}")
    groups = {key[4] for section in sections for key in section.index}
    if group not in groups:
        raise SpecError(f"there is no group {group!r}{did_you_mean(group, groups)}")


def _instead(sections: Sequence[Section], scenario: str) -> str:
    """The severities of the scenario where only its severity is wrong, else names like it."""
    levels: dict[str, set[float]] = {}
    for section in sections:
        for name, split in _scenarios(section).items():
            levels.setdefault(name, set()).update(section.severities(name, split))
    name, separator, level = scenario.rpartition("@")
    if not separator or name in levels:
        known = ", ".join(f"{name}@{severity:g}" for severity in sorted(levels.get(name, ())))
        return f"; known: {known}" if separator else did_you_mean(scenario, levels)
    severity = _severity(level)
    above = [(known, s) for known in levels for s in levels[known] if s > 0]
    likely = [f"{known}@{s:g}" for known, s in above if severity is None or isclose(s, severity)]
    return did_you_mean(f"{name}@{level if severity is None else f'{severity:g}'}", [*levels, *likely])


def _severity(text: str) -> float | None:
    """A severity however it is written: 1, 1.0, 1e0; None for what is no number."""
    try:
        return float(text)
    except ValueError:
        return None


def _scenarios(section: Section) -> dict[str, str]:
    """Scenario → its split, test rows only."""
    return {key[1]: key[2] for key in section.index if key[2] not in section.development}


def _rows(section: Section, scenario: str) -> int:
    """Rows of a scenario: the most that any of its metrics is about."""
    records = (record for row in section.rows for run in row.runs for record in run.records)
    return max((record.n for record in records if record.scenario == scenario and record.group == "all"), default=0)


def _column(
    section: Section, split_of: Mapping[str, str], scenario: str, metric: str, measure: Measure, group: str
) -> MetricColumn | None:
    pieces, note = _pieces(section, split_of, scenario)
    if not pieces:
        return None
    split = split_of[pieces[0].scenario]
    recorded = metric in section.protocol.metrics
    present = {key[1] for key in section.index if key[4] == group and (not recorded or key[5] == metric)}
    if not all(piece.scenario in present for piece in pieces) or (group != "all" and not recorded):
        return None
    return MetricColumn(scenario, split, metric, measure, group, pieces, note)


def _canonical(known: Collection[str], scenario: str) -> str:
    """ "gaussian@1.0" as "gaussian@1": one severity, one column, whichever way it is written."""
    name, _, level = scenario.rpartition("@")
    severity = _severity(level)
    return scenario if scenario in known or name not in known or severity is None else f"{name}@{severity:g}"


def _pieces(section: Section, split_of: Mapping[str, str], scenario: str) -> tuple[tuple[Component, ...], str]:
    """What a scenario's value is made of; nothing where it was not evaluated."""
    name, separator, level = (scenario, "", "") if scenario in split_of else scenario.rpartition("@")
    if name not in split_of:
        return (), ""
    levels = section.severities(name, split_of[name])
    if separator:
        wanted = _severity(level)
        matching = [s for s in levels if wanted is not None and isclose(s, wanted, rel_tol=1e-5)]
        nearest = sorted(matching, key=lambda s: abs(s - (wanted or 0.0)))[:1]
        return tuple(Component(name, severity, 1.0) for severity in nearest), ""
    split = split_of[name]
    if split in split_of and levels[0] > 0 and _rows(section, split) == _rows(section, name):  # clean, the same rows
        points = [(split, 0.0), *((name, severity) for severity in levels)]
    else:
        points = [(name, severity) for severity in levels]
    if levels == [0.0] or len(points) == 1:
        return (Component(*points[-1], 1.0),), ""
    heights = [severity for _, severity in points]
    weights = area_weights(heights) / (heights[-1] - heights[0])
    note = (
        f"{name}: area under the curve over severity {heights[0]:g} to {heights[-1]:g} of {split}, "
        f"divided by {heights[-1] - heights[0]:g}"
    )
    return tuple(Component(*point, float(weight)) for point, weight in zip(points, weights, strict=True)), note
