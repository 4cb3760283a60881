"""Evaluation: scenarios → predictions that are kept → records. The one place that asks a dataset for test rows.

The damage of a row follows from the scenario's name, the severity, the repeat, the seed of the evaluation and the place
of the row among the scenario's rows; neither the method nor its other modalities nor the device enters. So two methods
meet exactly the same damage, and their predictions can be compared row by row.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from deconfound.corruption import Corruption, seeded
from deconfound.dataset import Dataset
from deconfound.errors import DataError, RunError, SpecError, did_you_mean
from deconfound.files import file_stem
from deconfound.metrics import Protocol, Score, protocol_of
from deconfound.predictions import Predictions, load_predictions, save_predictions
from deconfound.records import Record, merged, read_records, write_records
from deconfound.registry import find, resolve
from deconfound.scenario import Scenario, definition
from deconfound.signal import Batch
from deconfound.task import Task

if TYPE_CHECKING:
    from deconfound.method import Method

CHUNK = 256
"""Rows that are damaged from one generator and predicted at once; another number is another draw of the damage."""


@dataclass(frozen=True)
class Identity:
    """Whose predictions these are.

    Args:
        run: name of the run.
        method: name of the method.
        seed: of the training.
    """

    run: str
    method: str
    seed: int


@contextmanager
def evaluating(method: Method, device: str | torch.device = "cpu") -> Iterator[None]:
    """The method in eval mode on a device and without gradients; afterwards it is as it was."""
    modes = {module: module.training for module in method.modules()}
    home = next((parameter.device for parameter in method.parameters()), None)
    method.eval().to(device)
    try:
        with torch.no_grad():
            yield
    finally:
        if home is not None:
            method.to(home)
        for module, mode in modes.items():
            module.training = mode


def outputs(method: Method, batch: Batch, task: Task) -> np.ndarray:
    """(B, outputs) float32 predictions or logits of one batch.

    Raises:
        RunError: the method gave another shape.
    """
    given, expected = method(batch), (len(batch), task.outputs)
    if given.shape != expected:
        raise RunError(f"{type(method).__name__} gave {tuple(given.shape)} outputs; this task expects {expected}")
    return given.float().cpu().numpy()


def check_finite(wrong: np.ndarray, ids: Sequence[str] | np.ndarray, what: str) -> None:
    """Refuse outputs that are not finite.

    Args:
        wrong: (N,) bool, the rows with such an output.

    Raises:
        RunError: there is one.
    """
    if wrong.any():
        raise RunError(
            f"{what}: {int(wrong.sum())} of {len(wrong)} outputs are NaN or infinite (the first is of "
            f"{str(ids[int(wrong.argmax())])!r}); the training has diverged: train with a smaller learning rate"
        )


def predict_scenario(
    method: Method, dataset: Dataset, scenario: Scenario, *, device: str | torch.device = "cpu", seed: int = 0
) -> Predictions:
    """What the method says about the scenario's rows.

    Args:
        dataset: with the modalities that the method knows; its training rows give the scale of noise.
        seed: of the damage.

    Raises:
        SpecError: an unknown modality, corruption, argument, or a severity out of range.
        DataError: an unknown split or column, or no row fits.
        RunError: an output of another shape than the task's, or one that is not finite.
    """
    rows, corruption = _rows(dataset, scenario), _corruption(scenario)
    if corruption is not None:
        corruption = corruption.fitted(dataset)
    away = [name for name in dataset.signals if scenario.present and name not in scenario.present]
    shape = (len(scenario.severities), scenario.repeats, len(rows), dataset.task.outputs)
    output = np.empty(shape, dtype=np.float32)
    draws = list(product(enumerate(map(float, scenario.severities)), range(scenario.repeats)))
    with evaluating(method, device):
        for start in range(0, len(rows), CHUNK):
            batch = dataset.batch(rows[start : start + CHUNK]).without(*away)
            for (v, severity), repeat in draws:
                generator = seeded(scenario.name, severity, repeat, seed, start)
                damaged = corruption(batch, severity, generator) if corruption else batch
                output[v, repeat, start : start + CHUNK] = outputs(method, damaged.to(device), dataset.task)
    ids = dataset.columns["id"].values[rows.numpy()].astype(str)
    wrong = np.asarray(~np.isfinite(output).all(axis=(0, 1, 3)))
    check_finite(wrong, ids, f"{type(method).__name__}, scenario {scenario.name!r}")
    target = dataset.target[rows].numpy()
    about = (scenario.name, definition(scenario), scenario.split, scenario.clean, seed)
    return Predictions(*about, np.asarray(scenario.severities, np.float64), rows.numpy(), ids, target, output)


def records_of(predictions: Predictions, dataset: Dataset, identity: Identity) -> list[Record]:
    """Every metric of the task's protocol at every severity and repeat; of clean rows also per environment and worst.

    Raises:
        DataError: the task's protocol does not exist or judges another kind of task.
        RunError: the predictions are of other rows than the dataset's.
    """
    _check_rows(predictions, dataset)
    protocol = protocol_of(dataset.task.protocol, dataset.task.kind)
    records = []
    for v, severity in enumerate(predictions.severities.tolist()):
        for repeat in range(predictions.output.shape[1]):
            output = predictions.output[v, repeat]
            scores = {"all": protocol.score(output, predictions.target)}
            if predictions.clean and dataset.environment:
                scores |= _by_group(output, predictions, dataset, protocol)
            records += [
                Record(
                    **vars(identity),
                    dataset=dataset.name,
                    scenario=predictions.scenario,
                    split=predictions.split,
                    severity=severity,
                    repeat=repeat,
                    group=group,
                    protocol=protocol.name,
                    metric=metric,
                    value=score.value,
                    n=score.n,
                )
                for group, by_metric in scores.items()
                for metric, score in by_metric.items()
            ]
    return records


def evaluate_method(
    method: Method,
    dataset: Dataset,
    scenarios: Sequence[Scenario],
    *,
    out: Path,
    run: str,
    method_name: str,
    seed: int,
    progress: bool = False,
    device: str | torch.device = "cpu",
    damage_seed: int = 0,
) -> list[Record]:
    """Predict, keep and measure all scenarios in a run directory.

    Each scenario leaves `predictions/NAME.npz`, and its lines replace those of the same name in `records.jsonl`; the
    lines of other scenarios stay. Predictions are made once: where they are kept already, only the metrics are computed
    again. Files are replaced whole after every scenario: an interrupted evaluation can be repeated.

    Args:
        out: the run directory.
        seed: of the training, for the records.
        progress: say on standard error which scenario is at work.
        damage_seed: equal for all runs that are to be compared.

    Returns:
        The records of these scenarios.

    Raises:
        SpecError, DataError, RunError: as `predict_scenario`; names, rows and corruptions are checked before any work.
        RunError: kept predictions answer another question under the same name.
    """
    protocol_of(dataset.task.protocol, dataset.task.kind)
    names = [scenario.name for scenario in scenarios]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SpecError(f"two scenarios are called {twice[0]!r}; give each its own name")
    for scenario in scenarios:
        _rows(dataset, scenario)
        _corruption(scenario)
    identity, records = Identity(run, method_name, seed), []
    for number, scenario in enumerate(scenarios, start=1):
        if progress:
            print(f"evaluating {number}/{len(scenarios)}: {scenario.name}", file=sys.stderr, flush=True)
        predictions = kept_predictions(out, scenario, damage_seed)
        if predictions is None:
            predictions = predict_scenario(method, dataset, scenario, device=device, seed=damage_seed)
            save_predictions(predictions_path(out, scenario), predictions)
        fresh = records_of(predictions, dataset, identity)
        write_records(out / "records.jsonl", merged(read_records(out / "records.jsonl"), fresh))
        records += fresh
    return records


def predictions_path(out: Path, scenario: Scenario) -> Path:
    """Where a run directory keeps the predictions of a scenario."""
    return out / "predictions" / f"{file_stem(scenario.name)}.npz"


def kept_predictions(out: Path, scenario: Scenario, damage_seed: int = 0) -> Predictions | None:
    """The predictions of an earlier evaluation, None if there are none.

    Raises:
        RunError: they are damaged, or of another scenario of the same name.
    """
    path = predictions_path(out, scenario)
    if not path.is_file():
        return None
    kept = load_predictions(path)
    if (kept.definition, kept.seed) != (definition(scenario), damage_seed):
        raise RunError(f"{out} keeps predictions of another scenario {scenario.name!r}; give this one another name")
    return kept


def _rows(dataset: Dataset, scenario: Scenario) -> torch.Tensor:
    """(N,) int64 rows of a scenario, after a look at the modalities that it names."""
    for name in scenario.present:
        if name not in dataset.signals:
            hint = did_you_mean(name, dataset.signals)
            raise SpecError(f"scenario {scenario.name!r}: there is no modality {name!r}{hint}")
    split = dataset.rows(scenario.split)
    if not scenario.where:
        return torch.arange(split.start, split.stop)
    rows = dataset.where(scenario.where)
    rows = rows[(rows >= split.start) & (rows < split.stop)]
    if len(rows) == 0:
        raise DataError(f"scenario {scenario.name!r}: no row of {scenario.split!r} has {dict(scenario.where)}")
    return rows


def _corruption(scenario: Scenario) -> Corruption | None:
    given = scenario.corruption
    if isinstance(given, str):
        return find("corruptions", given)(**resolve("corruptions", given, scenario.arguments))
    return given


def _check_rows(predictions: Predictions, dataset: Dataset) -> None:
    rows = predictions.rows
    fits = len(rows) > 0 and rows.min() >= 0 and rows.max() < len(dataset)
    fits = fits and np.array_equal(dataset.columns["id"].values[rows].astype(str), predictions.ids)
    fits = fits and np.array_equal(dataset.target.numpy()[rows], predictions.target)
    if not fits or predictions.output.shape[3] != dataset.task.outputs:
        raise RunError(
            f"the predictions of scenario {predictions.scenario!r} are of other rows or labels than "
            f"{dataset.name!r} has; delete the run's folder 'predictions' and evaluate it again"
        )


def _by_group(
    output: np.ndarray, predictions: Predictions, dataset: Dataset, protocol: Protocol
) -> dict[str, dict[str, Score]]:
    """Group name → scores: one per environment among the rows, then the worst of these metric by metric."""
    numbers, labels = dataset.groups(*dataset.environment)
    group = numbers.numpy()[predictions.rows]
    scores = {
        labels[number]: protocol.score(output[group == number], predictions.target[group == number])
        for number in np.unique(group).tolist()
    }
    first = next(iter(scores.values()))
    worst = {metric: _worst([each[metric] for each in scores.values()], protocol, metric) for metric in first}
    return scores | {f"worst({', '.join(dataset.environment)})": worst}


def _worst(scores: list[Score], protocol: Protocol, metric: str) -> Score:
    """The worst defined score; undefined where none is defined."""
    defined = [score for score in scores if score.value is not None]
    if not defined:
        return Score(None, 0)
    sign = 1 if protocol.metrics[metric].higher_is_better else -1
    return min(defined, key=lambda score: sign * (score.value or 0.0))
