"""What each modality contributes: of a trained run, or of a dataset by linear heads on its inputs. No test row is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset, evenly
from deconfound.data.linear_probe import MOST_ROWS, pooling
from deconfound.errors import DataError
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
"""Above it a Shapley value, which needs every subset, is not computed."""
FEW = 30
"""Rows below which a group has no verdict of its own."""


@dataclass(frozen=True)
class Contribution:
    """What a modality adds to the score, on average over all orders.

    Args:
        value: mean Shapley value over rows; low, high: its 95 % interval, None for a single row or cluster.
    """

    modality: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Contributions:
    """Everything measured on the validation rows.

    Args:
        source: of the predictions: "METHOD on subsets of modalities" or "linear heads on the inputs".
        measure: "accuracy" or "-mae".
        rows: number of validation rows.
        verdict: of the modalities by themselves.
        conflicts: who is right where two disagree.
        contributions: Shapley values; empty with too many modalities.
        groups: group → modality → mean Shapley value.
        ids: (N,) of the rows; per_row: modality → (N,) Shapley value.
        warnings: where another modality predominates, one line each.
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
        """JSON values, without the rows."""
        plain = asdict(self)
        del plain["ids"], plain["per_row"]
        plain["verdict"]["predominant"] = self.verdict.predominant
        for conflict, each in zip(plain["conflicts"], self.conflicts, strict=True):
            conflict["win_rate"] = each.win_rate
        return plain


Outputs = Callable[[Subset, torch.Tensor], np.ndarray]
"""(present modalities, (R,) rows) → (R, outputs)."""


def contributions_of_run(method: Method, dataset: Dataset, name: str, group: str = "") -> Contributions:
    """Measure a trained method by taking modalities away from the validation rows.

    Args:
        method: as `Run.method` gives it.
        dataset: what it was trained on; test rows may be in it and are not read.
        name: of the method.
        group: metadata column for means by group; the dataset's environments if empty.

    Raises:
        DataError: fewer than two modalities, or no such column.
    """
    from deconfound.evaluation.outputs import collect_outputs, row_batches

    data = _comparable(dataset, group)

    def predict(present: Subset, rows: torch.Tensor) -> np.ndarray:
        absent = [modality for modality in data.signals if modality not in present]
        return collect_outputs(method, (batch.without(*absent) for batch in row_batches(data, rows)), data.task)

    train = evenly(data.rows("train"), MOST_ROWS)
    alone = {
        m: row_scores(predict(frozenset([m]), train), data.target[train].numpy(), data.task.kind) for m in data.signals
    }
    return _measured(data, predict, f"{name} with modalities taken away", verdict(alone), group)


def contributions_of_data(dataset: Dataset, group: str = "") -> Contributions:
    """Measure a dataset: for every subset of modalities a ridge regression on the means over their steps.

    Fitted on training rows (at most `probe.MOST_ROWS`), judged on validation rows. Arguments and errors as of
    `contributions_of_run`.
    """
    data = _comparable(dataset, group)
    train = evenly(data.rows("train"), MOST_ROWS)
    encode = {m: pooling(signal.select(train)) for m, signal in data.signals.items()}
    y, task = data.target[train].numpy(), data.task

    def features(present: Subset, rows: torch.Tensor) -> np.ndarray:
        parts = [encode[m](data.signals[m].select(rows)) for m in data.signals if m in present]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(rows), 1))

    def predict(present: Subset, rows: torch.Tensor) -> np.ndarray:
        return linear_outputs(features(present, train), y, features(present, rows), task.kind, task.outputs)

    half = np.random.default_rng(0).permutation(len(y)) % 2 == 0

    def crossed(modality: str) -> np.ndarray:
        x, found = features(frozenset([modality]), train), np.empty(len(y))
        for fold in (half, ~half):
            output = linear_outputs(x[~fold], y[~fold], x[fold], task.kind, task.outputs)
            found[fold] = row_scores(output, y[fold], task.kind)
        return found

    return _measured(data, predict, "linear heads on the inputs", verdict({m: crossed(m) for m in data.signals}), group)


def _comparable(dataset: Dataset, group: str) -> Dataset:
    """The development rows, after a look at what was asked for: predictions take long."""
    data = dataset.development()
    names = list(data.signals)
    if len(names) < 2:
        raise DataError(f"{data.name} has one modality, {names[0]!r}; there is nothing to compare it with")
    if group:
        data.groups(group)
    return data


def _measured(data: Dataset, predict: Outputs, source: str, training: Predominance, group: str) -> Contributions:
    names, kind = list(data.signals), data.task.kind
    rows = torch.arange(data.rows("valid").start, data.rows("valid").stop)
    target = data.target[rows].numpy()
    wanted = subsets(names) if len(names) <= MOST_MODALITIES else [frozenset([name]) for name in names]
    said = {subset: predict(subset, rows) for subset in wanted}
    scores = {subset: row_scores(output, target, kind) for subset, output in said.items()}
    clusters = data.groups(*data.group)[0][rows].numpy() if data.group else None
    alone = {name: scores[frozenset([name])] for name in names}
    found = verdict(alone, clusters)
    added = shapley(scores, names) if len(names) <= MOST_MODALITIES else {}
    ends = mean_intervals(list(added.values()), clusters) if added else []
    number, labels = data.groups(*([group] if group else data.environment))
    places = number[rows].numpy()
    return Contributions(
        source=source,
        measure="accuracy" if kind == "classification" else "-mae",
        rows=len(rows),
        verdict=found,
        conflicts=tuple(conflicts({name: said[frozenset([name])] for name in names}, target, kind)),
        contributions=tuple(
            Contribution(name, float(each.mean()), *interval)
            for (name, each), interval in zip(added.items(), ends, strict=True)
        ),
        groups=by_group(added, places, labels) if len(labels) > 1 and added else {},
        ids=data.columns["id"].values[rows.numpy()].astype(str),
        per_row=added,
        warnings=_warnings(found, {"the training rows": training, **_by_group(alone, places, labels)}),
    )


def _by_group(scores: Mapping[str, np.ndarray], places: np.ndarray, labels: list[str]) -> dict[str, Predominance]:
    wide = [number for number in range(len(labels)) if (places == number).sum() >= FEW]
    if len(labels) < 2:
        return {}
    return {labels[n]: verdict({name: values[places == n] for name, values in scores.items()}) for n in wide}


def _warnings(found: Predominance, others: Mapping[str, Predominance]) -> tuple[str, ...]:
    if found.predominant == BALANCED:
        return ()
    return tuple(
        f"{other.predominant} is predominant on {where}, {found.predominant} on the validation rows"
        for where, other in others.items()
        if other.predominant not in (BALANCED, found.predominant)
    )


def as_text(found: Contributions) -> str:
    """Lines for a terminal."""
    lines = [f"{found.rows} validation rows, {found.source}; scores are {found.measure}", ""]
    added = {each.modality: each for each in found.contributions}
    for standing in found.verdict.standings:
        line = f"  {standing.modality:14} alone {_number(standing.score, standing.low, standing.high)}"
        if standing.modality in added:
            each = added[standing.modality]
            line += f"   adds {_number(each.value, each.low, each.high)}"
        lines.append(line)
    leaders = found.verdict.leaders
    lead = (
        f"{leaders[0]} is predominant" if len(leaders) == 1 else f"balanced: {', '.join(leaders)} cannot be told apart"
    )
    lines += ["", f"{lead} (95 % intervals over validation rows)", ""]
    names = [standing.modality for standing in found.verdict.standings]
    for each in found.conflicts:
        if each.rows and names.index(each.first) < names.index(each.second):
            lines.append(f"  {_disagreement(each, 'right' if found.measure == 'accuracy' else 'nearer')}")
    for label, values in found.groups.items():
        lines.append(f"  {label}: " + ", ".join(f"{name} adds {value:+.3f}" for name, value in values.items()))
    return "\n".join(lines + [f"warning: {warning}" for warning in found.warnings])


def _disagreement(each: Conflict, word: str) -> str:
    wins, losses, neither = (count / each.rows for count in (each.wins, each.losses, each.neither))
    text = (
        f"{each.first} and {each.second} disagree in {each.share:.1%} of the rows: {each.first} {word} in {wins:.1%}, "
    )
    return text + f"{each.second} in {losses:.1%}" + (f", neither in {neither:.1%}" if each.neither else "")


def _number(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")
