"""What each modality contributes to a trained run, or to linear heads on a dataset. No test row is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.linear_probe import MOST_ROWS, pooling
from deconfound.data.one_label import one_label_kind
from deconfound.errors import DataError
from deconfound.io.plain_text import text_of_lines
from deconfound.statistics.predominance import (
    BALANCED,
    Conflict,
    Predominance,
    Subset,
    by_group,
    conflicts,
    linear_outputs,
    mean_intervals,
    row_scores,
    shapley,
    subsets,
    verdict,
)

if TYPE_CHECKING:
    from deconfound.method import Method

MOST_MODALITIES = 8
"""Largest number of modalities with Shapley values, which need every subset."""
FEW = 30
"""Smallest number of rows of a group with a verdict of its own."""

_WHAT = "predominance"


@dataclass(frozen=True)
class Contribution:
    """What a modality adds to the score, averaged over all orders of adding modalities.

    Args:
        value: mean Shapley value over rows.
        low, high: its 95 % interval; None for a single row or cluster.
    """

    modality: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Contributions:
    """Everything measured on the validation rows.

    Args:
        source: where the predictions come from: "METHOD with modalities taken away" or "linear heads on the inputs".
        measure: "accuracy" or "-mae".
        rows: number of validation rows.
        verdict: which modality is best by itself.
        conflicts: for each pair of modalities, which one is right where they disagree.
        contributions: Shapley values; empty with too many modalities.
        groups: group → modality → mean Shapley value.
        ids: (N,) row ids.
        per_row: modality → (N,) Shapley value.
        warnings: one line for each group of rows in which another modality predominates.
    """

    source: str
    measure: str
    rows: int
    verdict: Predominance
    conflicts: tuple[Conflict, ...]
    contributions: tuple[Contribution, ...]
    groups: Mapping[str, Mapping[str, float]]
    ids: np.ndarray
    per_row: Mapping[str, np.ndarray]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values, without ids and values per row."""
        plain = asdict(self)
        del plain["ids"], plain["per_row"]
        plain["verdict"]["predominant"] = self.verdict.predominant
        for values, conflict in zip(plain["conflicts"], self.conflicts, strict=True):
            values["win_rate"] = conflict.win_rate
        return plain


Outputs = Callable[[Subset, torch.Tensor], np.ndarray]
"""(present modalities, (R,) rows) → (R, outputs)."""


def contributions_of_run(method: Method, dataset: Dataset, name: str, group: str = "") -> Contributions:
    """Measure a trained method by taking modalities away from the validation rows.

    Args:
        method: a trained method, such as `Run.method` returns.
        dataset: its training data; test rows in it are not read.
        name: name of the method.
        group: metadata column for means by group; the dataset's environments if empty.

    Raises:
        DataError: the dataset has fewer than two modalities or no such column.
    """
    from deconfound.evaluation.outputs import collect_outputs, row_batches

    data = _comparable(dataset, group)
    kind = one_label_kind(data.task, _WHAT)

    def predict(present: Subset, rows: torch.Tensor) -> np.ndarray:
        absent = [modality for modality in data.signals if modality not in present]
        return collect_outputs(method, (batch.without(*absent) for batch in row_batches(data, rows)), data.task)

    train = evenly_spaced(data.rows("train"), MOST_ROWS)
    alone = {m: row_scores(predict(frozenset([m]), train), data.target[train].numpy(), kind) for m in data.signals}
    return _measured(data, predict, f"{name} with modalities taken away", verdict(alone), group)


def contributions_of_data(dataset: Dataset, group: str = "") -> Contributions:
    """Measure a dataset by a ridge regression on the means over steps, for every subset of modalities.

    The heads are fitted on at most `data.linear_probe.MOST_ROWS` training rows and scored on validation rows. Arguments
    and errors are those of `contributions_of_run`.
    """
    data = _comparable(dataset, group)
    train = evenly_spaced(data.rows("train"), MOST_ROWS)
    encode = {m: pooling(signal.select(train)) for m, signal in data.signals.items()}
    y, kind, outputs = data.target[train].numpy(), one_label_kind(data.task, _WHAT), data.task.outputs

    def features(present: Subset, rows: torch.Tensor) -> np.ndarray:
        parts = [encode[m](data.signals[m].select(rows)) for m in data.signals if m in present]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(rows), 1))

    def predict(present: Subset, rows: torch.Tensor) -> np.ndarray:
        return linear_outputs(features(present, train), y, features(present, rows), kind, outputs)

    half = np.random.default_rng(0).permutation(len(y)) % 2 == 0

    def cross_fitted_scores(modality: str) -> np.ndarray:
        x, scores = features(frozenset([modality]), train), np.empty(len(y))
        for fold in (half, ~half):
            output = linear_outputs(x[~fold], y[~fold], x[fold], kind, outputs)
            scores[fold] = row_scores(output, y[fold], kind)
        return scores

    return _measured(
        data, predict, "linear heads on the inputs", verdict({m: cross_fitted_scores(m) for m in data.signals}), group
    )


def _comparable(dataset: Dataset, group: str) -> Dataset:
    """The development rows; checks the arguments first, because predictions take long."""
    data = dataset.development()
    one_label_kind(data.task, _WHAT)
    names = list(data.signals)
    if len(names) < 2:
        raise DataError(
            f"{data.name} has one modality, {names[0]!r}; there is nothing to compare it with: give data with two or more"
        )
    if group:
        data.groups(group)
    return data


def _measured(data: Dataset, predict: Outputs, source: str, training: Predominance, group: str) -> Contributions:
    names, kind = list(data.signals), one_label_kind(data.task, _WHAT)
    rows = torch.arange(data.rows("valid").start, data.rows("valid").stop)
    target = data.target[rows].numpy()
    measured_subsets = subsets(names) if len(names) <= MOST_MODALITIES else [frozenset([name]) for name in names]
    outputs = {subset: predict(subset, rows) for subset in measured_subsets}
    scores = {subset: row_scores(output, target, kind) for subset, output in outputs.items()}
    clusters = data.groups(*data.group)[0][rows].numpy() if data.group else None
    alone = {name: scores[frozenset([name])] for name in names}
    ranking = verdict(alone, clusters)
    added = shapley(scores, names) if len(names) <= MOST_MODALITIES else {}
    intervals = mean_intervals(list(added.values()), clusters) if added else []
    number, labels = data.groups(*([group] if group else data.environment))
    groups = number[rows].numpy()
    return Contributions(
        source=source,
        measure="accuracy" if kind == "classification" else "-mae",
        rows=len(rows),
        verdict=ranking,
        conflicts=tuple(conflicts({name: outputs[frozenset([name])] for name in names}, target, kind)),
        contributions=tuple(
            Contribution(name, float(values.mean()), *interval)
            for (name, values), interval in zip(added.items(), intervals, strict=True)
        ),
        groups=by_group(added, groups, labels) if len(labels) > 1 and added else {},
        ids=data.columns["id"].values[rows.numpy()].astype(str),
        per_row=added,
        warnings=_warnings(ranking, {"the training rows": training, **_by_group(alone, groups, labels)}),
    )


def _by_group(scores: Mapping[str, np.ndarray], groups: np.ndarray, labels: list[str]) -> dict[str, Predominance]:
    large = [number for number in range(len(labels)) if (groups == number).sum() >= FEW]
    if len(labels) < 2:
        return {}
    return {labels[n]: verdict({name: values[groups == n] for name, values in scores.items()}) for n in large}


def _warnings(overall: Predominance, others: Mapping[str, Predominance]) -> tuple[str, ...]:
    if overall.predominant == BALANCED:
        return ()
    return tuple(
        f"{other.predominant} is predominant on {where}, {overall.predominant} on the validation rows"
        for where, other in others.items()
        if other.predominant not in (BALANCED, overall.predominant)
    )


def as_text(result: Contributions) -> str:
    """Lines for a terminal."""
    lines = [f"{result.rows} validation rows, {result.source}; scores are {result.measure}", ""]
    added = {contribution.modality: contribution for contribution in result.contributions}
    for standing in result.verdict.standings:
        line = f"  {standing.modality:14} alone {_number(standing.score, standing.low, standing.high)}"
        if standing.modality in added:
            contribution = added[standing.modality]
            line += f"   adds {_number(contribution.value, contribution.low, contribution.high)}"
        lines.append(line)
    leaders = result.verdict.leaders
    lead = (
        f"{leaders[0]} is predominant" if len(leaders) == 1 else f"balanced: {', '.join(leaders)} cannot be told apart"
    )
    lines += ["", f"{lead} (95 % intervals over validation rows)", ""]
    names = [standing.modality for standing in result.verdict.standings]
    for conflict in result.conflicts:
        if conflict.rows and names.index(conflict.first) < names.index(conflict.second):
            lines.append(f"  {_disagreement(conflict, 'right' if result.measure == 'accuracy' else 'nearer')}")
    for label, values in result.groups.items():
        lines.append(f"  {label}: " + ", ".join(f"{name} adds {value:+.3f}" for name, value in values.items()))
    return text_of_lines(lines + [f"warning: {warning}" for warning in result.warnings])


def _disagreement(conflict: Conflict, word: str) -> str:
    wins, losses, neither = (count / conflict.rows for count in (conflict.wins, conflict.losses, conflict.neither))
    text = (
        f"{conflict.first} and {conflict.second} disagree in {conflict.share:.1%} of the rows: "
        f"{conflict.first} {word} in {wins:.1%}, "
    )
    return text + f"{conflict.second} in {losses:.1%}" + (f", neither in {neither:.1%}" if conflict.neither else "")


def _number(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")
