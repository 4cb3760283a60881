"""Runs side by side: which may share a table, means and deviations over seeds, gaps, paired intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from deconfound.data.splits import DEVELOPMENT, in_distribution
from deconfound.errors import RunError, did_you_mean
from deconfound.evaluation.records import WORST, Record
from deconfound.protocol import Protocol, get_protocol
from deconfound.registry import names
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


def build_sections(runs: Sequence[RunResult], trials: Sequence[RunResult] = ()) -> list[Section]:
    """Group runs into rows and rows into sections, in order of first appearance.

    Args:
        trials: runs that are compared with nothing and only show what hyper-parameters do.

    Raises:
        RunError: no run, one specification twice with one seed, an unknown protocol or metric.
    """
    if not runs:
        raise RunError("there is no run to compare; name one or more run directories")
    alike = _alike(runs)
    return [
        _section(key, alike, tuple(run for run in trials if key in _section_keys(run)))
        for key in dict.fromkeys(key for group in alike for run in group for key in _section_keys(run))
    ]


_SectionKey = tuple[str, str, bool, str]
"""Dataset, checksum, whether the runs were trained on it, protocol."""


def _section_key(run: RunResult, record: Record) -> _SectionKey:
    own = record.checksum == run.checksum if record.checksum else record.dataset == run.dataset
    return record.dataset, run.checksum if own else record.checksum, own, record.protocol


def _section_keys(run: RunResult) -> list[_SectionKey]:
    return list(dict.fromkeys(_section_key(run, record) for record in run.records))


def flat_settings(run: RunResult) -> dict[str, str]:
    """The specification as "method.strength" → JSON text, without seed, name and location of the data."""
    return dict(_flatten({key: value for key, value in run.spec.items() if key not in ("seed", "name")}))


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" != "data.store":  # the same data may lie elsewhere; its checksum tells
            yield f"{prefix}{name}", json.dumps(value, sort_keys=True, ensure_ascii=False)


def _alike(runs: Sequence[RunResult]) -> list[tuple[RunResult, ...]]:
    """Runs that differ only in their seed, by seed."""
    by_settings: dict[tuple[object, ...], dict[int, RunResult]] = {}
    for run in runs:
        settings = sorted(flat_settings(run).items())
        seeds = by_settings.setdefault((run.label, run.dataset, run.checksum, run.corpus, *settings), {})
        if run.seed in seeds:
            raise RunError(
                f"{seeds[run.seed].folder} and {run.folder} are one specification with one seed ({run.seed}); "
                "give only one of them"
            )
        seeds[run.seed] = run
    return [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in by_settings.values()]


def _labels(firsts: Sequence[RunResult]) -> list[str]:
    """One distinct label per row: the training data where they differ, and where names agree, the settings that differ."""
    labels: list[str] = []
    trained_on = _training_data(firsts)
    for run in firsts:
        name = run.label + trained_on[run.dataset, run.checksum]
        alike = [o for o in firsts if (o.label, o.dataset, o.checksum) == (run.label, run.dataset, run.checksum)]
        settings = [flat_settings(other) for other in alike]
        mine = flat_settings(run)
        varied = [name for name in mine if any(other.get(name) != mine[name] for other in settings)]
        brief = dict.fromkeys(f"{name.rpartition('.')[2]}={_brief(mine[name])}" for name in varied)
        label = f"{name} ({', '.join(list(brief)[:3])})" if brief else name
        count = 1 + sum(earlier == label or earlier.startswith(f"{label} #") for earlier in labels)
        labels.append(label if count == 1 else f"{label} #{count}")
    return labels


def _training_data(runs: Sequence[RunResult]) -> dict[tuple[str, str], str]:
    """(name, checksum) of training data → " on NAME", with the checksum where names agree; "" where all agree."""
    data = list(dict.fromkeys((run.dataset, run.checksum) for run in runs))
    names = [name for name, _ in data]
    if len(data) == 1:
        return dict.fromkeys(data, "")
    return {
        (name, checksum): f" trained on {name}" + (f" {checksum[:8]}" if names.count(name) > 1 else "")
        for name, checksum in data
    }


def _brief(value: str) -> str:
    """JSON text for a label: lists of names as text+audio."""
    parsed = json.loads(value)
    names = (
        [item.get("name", item) if isinstance(item, dict) else item for item in parsed]
        if isinstance(parsed, list)
        else [parsed]
    )
    return "+".join(name if isinstance(name, str) else json.dumps(name, ensure_ascii=False) for name in names)


def _section(key: _SectionKey, alike: Sequence[tuple[RunResult, ...]], trials: tuple[RunResult, ...]) -> Section:
    dataset, checksum, trained_here, name = key
    if name not in (known := names("protocols")):
        raise RunError(f"the records of {dataset} use the protocol {name!r}{did_you_mean(name, known)}")
    protocol = get_protocol(name)
    present = [runs for group in alike if (runs := tuple(run for run in group if key in _section_keys(run)))]
    labels = _labels([runs[0] for runs in present])
    rows = _reference_first([Row(label, runs) for label, runs in zip(labels, present, strict=True)])
    index = _index(key, rows, protocol)
    measured = {index_key[5] for index_key in index}
    splits = _test_splits(rows, index, trained_here)
    return Section(
        dataset=dataset,
        checksum=checksum,
        trained_here=trained_here,
        protocol=protocol,
        rows=rows,
        metrics=tuple(dict.fromkeys(m for m in (protocol.primary, *protocol.metrics) if m in measured)),
        splits=splits,
        in_split=in_distribution(splits) if trained_here else None,
        index=index,
        trials=trials,
    )


def _index(key: _SectionKey, rows: Sequence[Row], protocol: Protocol) -> dict[Key, Values]:
    index: dict[Key, dict[tuple[int, int], float | None]] = {}
    measured = ((row, run, record) for row in rows for run in row.runs for record in run.records)
    for owner, source, record in measured:
        if _section_key(source, record) != key:
            continue
        if record.metric not in protocol.metrics:
            known = did_you_mean(record.metric, protocol.metrics)
            raise RunError(f"{source.folder}: the protocol {protocol.name!r} has no metric {record.metric!r}{known}")
        index_key = (owner.label, record.scenario, record.split, float(record.severity), record.group, record.metric)
        index.setdefault(index_key, {})[source.seed, record.repeat] = record.value
    return dict(index)


def _reference_first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The first ERM row in front, where there is one; else the order given."""
    reference = next((row for row in rows if row.runs[0].method == "erm"), rows[0])
    return (reference, *(row for row in rows if row is not reference))


def _test_splits(rows: Sequence[Row], index: Mapping[Key, Values], trained_here: bool) -> tuple[str, ...]:
    measured = dict.fromkeys(key[2] for key in index if key[1] == key[2])
    order = [split for row in rows for split in row.runs[0].splits if split in measured]
    splits = dict.fromkeys([*order, *measured])
    return tuple(split for split in splits if not (trained_here and split in DEVELOPMENT))
