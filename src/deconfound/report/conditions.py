"""Conditions of evaluation: splits, corruptions and subsets of modalities, by environment group, and every run's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deconfound.report.chart import short
from deconfound.report.result_tables import MAX_GROUPS
from deconfound.results.run_result import RunResult
from deconfound.results.sections import PRESENT, Row, Section
from deconfound.results.spread import mean_or_none, spread

BUDGET = 15_000
"""Values by run that a page may hold for its groups; beyond it only "all" and the worst groups can be chosen."""


@dataclass(frozen=True)
class Condition:
    """A scenario that the reader can choose.

    Args:
        key: unique in its section.
        label: as the reader sees it.
        kind: "split" (clean), "corruption" (averaged over severities and repeats), "present" (some modalities only),
            "rows" (some rows only) or "development" (validation).
        severities: severities above 0 over which a corruption is averaged.
    """

    key: str
    label: str
    kind: Literal["split", "corruption", "present", "rows", "development"]
    scenario: str
    split: str
    severities: tuple[float, ...] = ()


def conditions(section: Section) -> list[Condition]:
    """All conditions: in distribution, the shifted splits, other rows, the corruptions, then the subsets of modalities."""
    inside = [section.in_split] if section.in_split else []
    known = [Condition(split, split, "split", split, split) for split in [*inside, *section.out_splits]]
    others = [(scenario, split) for scenario, split in section.scenarios() if split not in section.development]
    names = [scenario for scenario, _ in others] + [condition.key for condition in known]
    for scenario, split in others:
        key = scenario if names.count(scenario) == 1 else f"{scenario} on {split}"
        severities = tuple(s for s in section.severities(scenario, split) if s > 0)
        if severities:
            known.append(Condition(key, f"{key}, mean over severities", "corruption", scenario, split, severities))
        elif scenario.startswith(PRESENT):
            label = key.removeprefix(PRESENT).replace("+", " + ")
            known.append(Condition(key, f"only {label}", "present", scenario, split))
        else:
            known.append(Condition(key, key, "rows", scenario, split))
    order = ("split", "rows", "corruption", "present")
    return sorted(known, key=lambda condition: order.index(condition.kind))


def validation(section: Section) -> Condition | None:
    """The validation rows, where they were measured; another corpus has none."""
    known = "valid" in section.development and any(key[1] == key[2] == "valid" for key in section.index)
    return Condition("valid", "validation", "development", "valid", "valid") if known else None


def values_at(
    section: Section, row: Row, metric: str, condition: Condition, group: str = "all"
) -> dict[int, float | None]:
    """Seed → value; for a corruption the mean over severities and repeats, None where one of them is undefined."""
    if condition.kind != "corruption":
        return section.clean(row, metric, condition.split, group, condition.scenario)
    pooled: dict[int, list[float | None]] = {}
    for severity in condition.severities:
        by_seed_and_repeat = section.index.get(
            (row.label, condition.scenario, condition.split, severity, group, metric), {}
        )
        for (seed, _), value in by_seed_and_repeat.items():
            pooled.setdefault(seed, []).append(value)
    return {seed: mean_or_none(values) for seed, values in pooled.items()}


def shown_groups(section: Section, split: str, most: int = MAX_GROUPS) -> list[str]:
    """The worst groups first, then all groups of a split, or the `most` hardest ones of the reference."""
    groups = section.groups(split)
    worst = [group for group in groups if group.startswith("worst(")]
    others = [group for group in groups if not group.startswith("worst(")]
    if len(others) <= most:
        return worst + others
    metric = section.metrics[0]
    sign = 1 if section.better(metric) == "higher" else -1
    means = {g: spread(section.clean(section.reference, metric, split, g).values()).mean for g in others}
    known = [group for group in others if means[group] is not None]
    hardest = sorted(known, key=lambda group: sign * (means[group] or 0.0))[:most]
    return worst + sorted(hardest)


def choosable_groups(section: Section) -> list[str]:
    """ "all", the worst groups, and every shown group as far as the budget allows."""
    by_split = [shown_groups(section, split) for split in section.splits]
    groups = list(dict.fromkeys(group for groups in by_split for group in groups))
    worst = [group for group in groups if group.startswith("worst(")]
    runs = sum(len(row.runs) for row in section.rows)
    fits = sum(map(len, by_split)) * len(section.metrics) * runs <= BUDGET
    return ["all", *worst, *(group for group in groups if fits and group not in worst)]


def all_runs(section: Section) -> list[tuple[str, RunResult]]:
    """(label, run) of every compared run, row by row, then of the runs that only tried hyper-parameters."""
    return [(row.label, run) for row in section.rows for run in row.runs] + [("", run) for run in section.trials]


def run_values(section: Section) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """Condition key → group → metric → value of each run in the order of `all_runs`, without what was not measured."""
    development = validation(section)
    trials = [_measurements(section, run) for run in section.trials]
    by_condition: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for condition in [*([development] if development else []), *conditions(section)]:
        for group in choosable_groups(section):
            by_metric = {metric: _by_run(section, metric, condition, group, trials) for metric in section.metrics}
            by_metric = {metric: values for metric, values in by_metric.items() if values}
            if by_metric:
                by_condition.setdefault(condition.key, {})[group] = by_metric
    return by_condition


Measurements = Mapping[tuple[str, str, float, str], list[float | None]]
"""(scenario, split, severity, metric) → values of the repeats, of all rows of one run."""


def _measurements(section: Section, run: RunResult) -> Measurements:
    values: dict[tuple[str, str, float, str], list[float | None]] = {}
    for record in run.records:
        if (record.group, record.protocol, record.dataset) == ("all", section.protocol.name, section.dataset):
            values.setdefault((record.scenario, record.split, float(record.severity), record.metric), []).append(
                record.value
            )
    return values


def _by_run(
    section: Section, metric: str, condition: Condition, group: str, trials: Sequence[Measurements]
) -> list[float | None]:
    values: list[float | None] = []
    for row in section.rows:
        by_seed = values_at(section, row, metric, condition, group)
        values += [short(by_seed.get(seed)) for seed in row.seeds]
    for trial in trials if group == "all" else ():
        keys = [(condition.scenario, condition.split, severity, metric) for severity in condition.severities or (0.0,)]
        values.append(short(mean_or_none(value for key in keys for value in trial.get(key, [None]))))
    while values and values[-1] is None:
        values.pop()
    return values


def choices(section: Section) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """(heading, (key, label)…) of the scenarios, as the page's list shows them."""
    headings = {"split": "Splits", "rows": "Other rows", "corruption": "Corruption", "present": "Modalities present"}
    by_heading: dict[str, list[tuple[str, str]]] = {}
    for condition in conditions(section):
        label = f"{condition.label} (in distribution)" if condition.key == section.in_split else condition.label
        by_heading.setdefault(headings[condition.kind], []).append((condition.key, label))
    return list(by_heading.items())


def first_choice(section: Section) -> str:
    """Key of the first shifted split, else of the first condition; "" without conditions."""
    known = conditions(section)
    return section.out_splits[0] if section.out_splits else known[0].key if known else ""


def packed_runs(section: Section) -> list[dict[str, Any]]:
    """Label, seed and folder of every run, for the page."""
    return [{"method": label, "seed": run.seed, "run": run.folder} for label, run in all_runs(section)]
