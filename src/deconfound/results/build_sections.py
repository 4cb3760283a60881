"""Sections of a report from the runs it shows: one per corpus, protocol and whether the runs were trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from deconfound.data.splits import DEVELOPMENT, in_distribution
from deconfound.errors import RunError, did_you_mean
from deconfound.evaluation.records import Record
from deconfound.protocol import Protocol, get_protocol
from deconfound.registry import names
from deconfound.results.run_result import RunResult
from deconfound.results.sections import Key, Row, Section, Values


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
        in_split=_in_split(rows, splits) if trained_here else None,
        index=index,
        trials=trials,
    )


def _in_split(rows: Sequence[Row], splits: Sequence[str]) -> str | None:
    """The split distributed like the training rows; of a fold by groups not the groups that it leaves out."""
    fold = rows[0].runs[0].fold
    return in_distribution([split for split in splits if fold is None or not fold.grouped or split != "test"])


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
