"""Conformal intervals and sets of a run: fitted to its validation rows, and measured under every scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.one_label import one_label_kind
from deconfound.data.task import Task
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.evaluate import kept_predictions
from deconfound.evaluation.predictions import Predictions
from deconfound.evaluation.records import WORST, Record, read_records, write_records
from deconfound.evaluation.scenario import Scenario
from deconfound.prediction.region import Region
from deconfound.runs.other_corpus import Corpus
from deconfound.runs.posthoc import Adjustment, validation_predictions
from deconfound.runs.run import Run
from deconfound.scoring.conformal import (
    Conformal,
    fit_conformal,
    interval_scores,
    prediction_sets,
    set_scores,
)
from deconfound.scoring.weights import Array

REGIONS = "regions.jsonl"
"""File of a run, beside its records.jsonl, with the coverage and the size of its intervals or sets."""


def fit_region(
    run: Run,
    level: float,
    by: Sequence[str] = (),
    *,
    adjustment: Adjustment | None = None,
    dataset: Dataset | None = None,
) -> Conformal:
    """Thresholds from the validation rows' predictions that the run keeps.

    Args:
        level: share of new rows whose label the interval or set shall hold.
        by: metadata columns whose values have thresholds of their own (Mondrian); this needs the run's data.
        adjustment: of the probabilities, before sets are made.
        dataset: the run's data, if its specification does not name them or they moved.

    Raises:
        DataError: the level is out of range or needs more validation rows, a column does not exist, or rows have several
            labels.
        RunError: the run keeps no predictions of its validation rows, or its data are not there.
    """
    one_label_kind(run.task, "an interval or a set")
    valid = validation_predictions(run)
    groups = groups_of(run.dataset(dataset).development(), valid.rows, by) if by else None
    return fit_conformal(scores_of(run.task, _changed(valid.output[0, 0], adjustment), valid.target), level, groups)


def region_of_source(
    run: Run, source: Path, level: float, by: Sequence[str] = (), adjustment: Adjustment | None = None
) -> Region:
    """Thresholds for the rows of a source that `deconfound.prediction.predict.predict_file` reads.

    Args:
        source: with columns, a store, which alone has them.
        level, by, adjustment: as for `fit_region`.

    Raises:
        SpecError: columns for a source that is not a store.
        DataError, RunError: as `fit_region`.
    """
    if by and not source.is_dir():
        raise SpecError(
            f"--by {by[0]} needs rows with that column, so a store; {source} is none: import it, or leave --by out"
        )
    region = fit_region(run, level, by, adjustment=adjustment)
    if not by:
        return Region(region)
    from deconfound.data.store import open_store

    rows = open_store(source)
    return Region(region, groups_of(rows, np.arange(len(rows)), by))


def scores_of(task: Task, output: Array, target: Array) -> Array:
    """(N,) scores of wrongness of (N, outputs) predictions or logits."""
    return interval_scores(output, target) if task.kind == "regression" else set_scores(output, target)


def groups_of(dataset: Dataset, rows: Array, by: Sequence[str]) -> list[str]:
    """The group of each of (N,) rows, as "speaker=anna".

    Raises:
        DataError: there is no such column.
    """
    numbers, names = dataset.groups(*by)
    return [names[number] for number in numbers.numpy()[rows].tolist()]


def evaluate_regions(
    run: Run,
    corpus: Corpus,
    scenarios: Sequence[Scenario],
    region: Conformal,
    by: Sequence[str] = (),
    adjustment: Adjustment | None = None,
) -> list[Record]:
    """Coverage and size at every severity and repeat, of kept predictions; for clean rows also by environment.

    Writes `regions.jsonl`; the records of other levels, columns and methods stay. The metrics are "coverage@LEVEL", the
    share of rows whose label the region holds, and "width@LEVEL" in target units or "set-size@LEVEL" in classes, with
    " by COLUMN" for thresholds by group. The worst environment is the one with the smallest coverage.

    Args:
        corpus: what was evaluated.
        scenarios: evaluated ones.
        by: columns of the thresholds of `region`.

    Raises:
        RunError: a scenario was not evaluated.
    """
    records = []
    for scenario in scenarios:
        kept = kept_predictions(corpus.folder, scenario)
        if kept is None:
            raise RunError(f"{run.path} was not evaluated on {scenario.name!r}; run 'deconfound evaluate' first")
        groups = groups_of(corpus.data, kept.rows, by) if by else None
        covered, size = _measured(run.task, kept, region, groups, adjustment)
        for place, group, rows in _places(kept, corpus.data, covered):
            values = (float(covered[place][rows].mean()), float(size[place][rows].mean()))
            for metric, value in zip(_metrics(run.task, region.level, by), values, strict=True):
                records.append(_record(run, corpus, kept, adjustment, place, group, metric, value, len(rows)))
    path = corpus.folder / REGIONS
    fresh = {(record.scenario, record.method, record.metric) for record in records}
    others = [old for old in read_records(path) if (old.scenario, old.method, old.metric) not in fresh]
    write_records(path, [*others, *records])
    return records


def _measured(
    task: Task, kept: Predictions, region: Conformal, groups: Sequence[str] | None, adjustment: Adjustment | None
) -> tuple[Array, Array]:
    """(V, R, N) bool whether the region holds the label, and (V, R, N) its size."""
    thresholds = region.of(groups, len(kept.rows))
    covered, size = np.empty(kept.output.shape[:3], dtype=bool), np.empty(kept.output.shape[:3])
    for place in np.ndindex(*kept.output.shape[:2]):
        output = _changed(kept.output[place], adjustment)
        covered[place] = scores_of(task, output, kept.target) <= thresholds
        size[place] = 2 * thresholds if task.kind == "regression" else prediction_sets(output, thresholds).sum(axis=1)
    return covered, size


def _changed(output: Array, adjustment: Adjustment | None) -> Array:
    return output if adjustment is None else adjustment.change(output)


def _places(kept: Predictions, data: Dataset, covered: Array) -> Iterator[tuple[tuple[int, int], str, Array]]:
    """(severity, repeat), group and (n,) positions of the rows that one pair of values is about."""
    everything = np.arange(len(kept.rows))
    environments = np.array(groups_of(data, kept.rows, data.environment), dtype=object)
    for place in np.ndindex(*covered.shape[:2]):
        yield place, "all", everything
        if kept.clean and data.environment:
            rows = {name: np.flatnonzero(environments == name) for name in sorted(set(environments))}
            yield from ((place, name, positions) for name, positions in rows.items())
            worst = min(rows.values(), key=lambda positions: covered[place][positions].mean())
            yield place, f"{WORST}{', '.join(data.environment)})", worst


def _metrics(task: Task, level: float, by: Sequence[str]) -> tuple[str, str]:
    """Names of coverage and size."""
    ending = f"@{level:g}" + (f" by {', '.join(by)}" if by else "")
    return f"coverage{ending}", f"{'width' if task.kind == 'regression' else 'set-size'}{ending}"


def _record(
    run: Run,
    corpus: Corpus,
    kept: Predictions,
    adjustment: Adjustment | None,
    place: tuple[int, int],
    group: str,
    metric: str,
    value: float,
    count: int,
) -> Record:
    title = run.spec.title
    return Record(
        run=run.path.name,
        method=title if adjustment is None else f"{title} [{adjustment.name}]",
        dataset=corpus.data.name,
        seed=run.spec.seed,
        scenario=kept.scenario,
        split=kept.split,
        severity=float(kept.severities[place[0]]),
        repeat=place[1],
        group=group,
        protocol=run.task.protocol,
        metric=metric,
        value=value,
        n=count,
        checksum=corpus.checksum,
    )
