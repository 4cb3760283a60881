"""Runs side by side: which may share a table, means and deviations over seeds, gaps, paired intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from deconfound.data.splits import DEVELOPMENT
from deconfound.evaluation.records import WORST
from deconfound.protocol import Protocol
from deconfound.results.run_result import RunResult
from deconfound.results.spread import mean_or_none

Key = tuple[str, str, str, float, str, str]
"""Row label, scenario, split, severity, group, metric."""
Values = Mapping[tuple[int, int], float | None]
"""(seed, repeat) → value, None where the metric is undefined."""
PRESENT = "present="


class GroupCount(NamedTuple):
    """Among how many groups a worst one was found, and how many of them do not define the metric."""

    groups: int
    undefined: int

    @property
    def note(self) -> str:
        """Such as "worst of 3 of 4 groups (1 undefined)"; "" where all are defined."""
        defined = self.groups - self.undefined
        return f"worst of {defined} of {self.groups} groups ({self.undefined} undefined)" if self.undefined else ""


@dataclass(frozen=True)
class Row:
    """Runs that differ only in their seed."""

    label: str
    runs: tuple[RunResult, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


@dataclass(frozen=True)
class Section:
    """All rows judged on one dataset by one protocol. Values of two sections are never compared.

    Args:
        checksum: of the data, "" where the records of rows that were trained on other data do not say it.
        trained_here: True if the rows were trained on this data; False if it is another corpus to them, whose splits are
            all tests.
        rows: the reference first.
        metrics: those with records, the primary one first.
        splits: test splits with clean records, in the order of the data.
        in_split: the split that is distributed like the training rows; None where the rows were trained on other data.
        index: everything measured.
        trials: further runs on the same data that only tried hyper-parameters.
    """

    dataset: str
    checksum: str
    trained_here: bool
    protocol: Protocol
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    splits: tuple[str, ...]
    in_split: str | None
    index: Mapping[Key, Values]
    trials: tuple[RunResult, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """Rules by which sweeps chose the runs, "" for runs that no sweep chose, in order of first appearance."""
        return tuple(dict.fromkeys(run.rule for row in self.rows for run in row.runs))

    @property
    def development(self) -> tuple[str, ...]:
        """Splits that are no tests."""
        return DEVELOPMENT if self.trained_here else ()

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Names of the training data, in order of first appearance."""
        return tuple(dict.fromkeys(run.dataset for row in self.rows for run in row.runs))

    @property
    def reference(self) -> Row:
        return self.rows[0]

    @property
    def out_splits(self) -> tuple[str, ...]:
        return tuple(split for split in self.splits if split != self.in_split)

    def better(self, metric: str) -> str:
        """ "higher" or "lower"."""
        return "higher" if self.protocol.metrics[metric].higher_is_better else "lower"

    def clean(
        self, row: Row, metric: str, split: str, group: str = "all", scenario: str | None = None
    ) -> dict[int, float | None]:
        """Seed → value on undamaged rows of a split; empty where it was not evaluated."""
        values = self.index.get((row.label, scenario or split, split, 0.0, group, metric), {})
        return {seed: value for (seed, _), value in values.items()}

    def group_count(
        self, row: Row, metric: str, split: str, group: str, scenario: str | None = None
    ) -> GroupCount | None:
        """Of the seed with the most undefined groups; None for a group that is no worst one, or whose records lack it."""
        return self._group_counts.get((row.label, scenario or split, split, group, metric))

    @cached_property
    def _group_counts(self) -> dict[tuple[str, str, str, str, str], GroupCount]:
        """(label, scenario, split, group, metric) → count."""
        counts: dict[tuple[str, str, str, str, str], GroupCount] = {}
        measured = ((owner.label, record) for owner in self.rows for run in owner.runs for record in run.records)
        for label, record in measured:
            if not record.group.startswith(WORST) or record.groups is None or record.undefined is None:
                continue
            if (record.dataset, record.protocol) != (self.dataset, self.protocol.name):
                continue
            key = label, record.scenario, record.split, record.group, record.metric
            before = counts.get(key, GroupCount(0, -1))
            counts[key] = max(before, GroupCount(record.groups, record.undefined), key=lambda count: count.undefined)
        return counts

    def worst_split(self, row: Row, metric: str) -> str | None:
        """The out-of-distribution split with the worst mean; None where a seed is undefined: it may be worse."""
        measured = {split: self.clean(row, metric, split) for split in self.out_splits}
        means = {split: mean_or_none(values.values()) for split, values in measured.items() if values}
        known = {split: mean for split, mean in means.items() if mean is not None}
        if not known or len(known) < len(means):
            return None
        pick = min if self.protocol.metrics[metric].higher_is_better else max
        return pick(known, key=lambda split: known[split])

    def gap(self, row: Row, metric: str) -> dict[int, float | None]:
        """Seed → worst out-of-distribution split − in distribution."""
        if self.in_split is None:
            return {}
        inside = self.clean(row, metric, self.in_split)
        worst = self.worst_split(row, metric)
        if worst is None:
            return dict.fromkeys(inside) if any(self.clean(row, metric, split) for split in self.out_splits) else {}
        outside = self.clean(row, metric, worst)
        gaps: dict[int, float | None] = {}
        for seed in sorted(inside.keys() & outside.keys()):
            a, b = inside[seed], outside[seed]
            gaps[seed] = None if a is None or b is None else b - a
        return gaps

    def severities(self, scenario: str, split: str) -> list[float]:
        """Severities of a scenario, ascending."""
        return self._catalogue[0].get((scenario, split), [])

    def scenarios(self) -> list[tuple[str, str]]:
        """(scenario, split) of everything measured that is not simply a split, in order of first appearance."""
        return [key for key in self._catalogue[0] if key[0] != key[1]]

    def groups(self, split: str) -> list[str]:
        """Groups with clean records on a split, sorted; "all" is not one."""
        return self._catalogue[1].get(split, [])

    @cached_property
    def _catalogue(self) -> tuple[dict[tuple[str, str], list[float]], dict[str, list[str]]]:
        """(scenario, split) → severities, and split → groups of its undamaged rows."""
        severities: dict[tuple[str, str], set[float]] = {}
        groups: dict[str, set[str]] = {}
        for _, scenario, split, severity, group, _ in self.index:
            severities.setdefault((scenario, split), set()).add(severity)
            if scenario == split and group != "all":
                groups.setdefault(split, set()).add(group)
        return {k: sorted(v) for k, v in severities.items()}, {k: sorted(v) for k, v in groups.items()}
