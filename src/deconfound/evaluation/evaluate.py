"""Evaluation: scenarios → predictions that are kept → records. The one place that asks a dataset for test rows.

The corruption of a row depends on the scenario's name, the severity, the repeat, the seed of the evaluation and the
position of the row among the scenario's rows. It does not depend on the method or the device. So all methods are tested
on exactly the same corrupted rows, and their predictions can be compared row by row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from deconfound.corruption import Corruption, seeded
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.errors import DataError, RunError, SpecError, did_you_mean
from deconfound.evaluation.outputs import CHUNK, check_finite, variant_outputs
from deconfound.evaluation.predictions import Predictions, load_predictions, save_predictions
from deconfound.evaluation.records import VARIANTS, Identity, Record, merged, read_records, records_of, write_records
from deconfound.evaluation.scenario import Scenario, definition, needed_modalities
from deconfound.io.files import file_stem
from deconfound.io.plain_text import plain_text
from deconfound.nn.backbone import remembering
from deconfound.nn.inference import apply_to_batches
from deconfound.protocol import protocol_of
from deconfound.registry import build

if TYPE_CHECKING:
    from deconfound.method import Method


def predict_scenario(
    method: Method, dataset: Dataset, scenario: Scenario, *, device: str | torch.device = "cpu", seed: int = 0
) -> Predictions:
    """Predict the scenario's rows with the method and its variants.

    Args:
        dataset: with the modalities that the method knows; its training rows give the scale of noise.
        device: device that the method runs on.
        seed: seed of the corruption.

    Raises:
        SpecError: an unknown modality, corruption, argument, or a severity out of range.
        DataError: an unknown split or column, or no row fits.
        RunError: an output of another shape than the task's, or one that is not finite.
    """
    return predict_together(method, dataset, [scenario], device=device, seed=seed)[0]


def predict_together(
    method: Method,
    dataset: Dataset,
    scenarios: Sequence[Scenario],
    *,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> list[Predictions]:
    """As `predict_scenario`, for one or more scenarios of the same rows.

    Of each modality, the encoders read what is in the dataset, and its absence, once for all scenarios and draws.
    """
    rows = _rows(dataset, scenarios[0])
    draws = [draw for scenario in scenarios for draw in _draws(dataset, scenario, seed)]
    absent = {name for scenario in scenarios for name in _absent(dataset, scenario)}

    def batches() -> Iterator[Batch]:
        for start in range(0, len(rows), CHUNK):
            whole = dataset.batch(rows[start : start + CHUNK])
            empty = whole.without(*absent)
            lasting = [batch.to(device) for batch in (whole, empty)]
            moved = dict(zip(_signals([whole, empty]), _signals(lasting), strict=True))
            with remembering(method, *lasting):
                for draw in draws:
                    batch = draw(whole, empty, start)
                    yield batch.with_signals({name: moved.get(s, s) for name, s in batch.signals.items()})

    parts = apply_to_batches(method, batches(), lambda batch: variant_outputs(method, batch, dataset.task), device)
    made, first = [], 0
    for scenario in scenarios:
        count = len(scenario.severities) * scenario.repeats
        outputs = [parts[draw :: len(draws)] for draw in range(first, first + count)]
        made.append(_joined(method, dataset, scenario, seed, rows, outputs))
        first += count
    return made


def _signals(batches: Iterable[Batch]) -> list[Signal]:
    return [signal for batch in batches for signal in batch.signals.values()]


def _absent(dataset: Dataset, scenario: Scenario) -> list[str]:
    return [name for name in dataset.signals if scenario.present and name not in scenario.present]


def _draws(dataset: Dataset, scenario: Scenario, seed: int) -> list[Callable[[Batch, Batch, int], Batch]]:
    """One function for each severity and repeat: rows, the same rows with the modalities absent, place of the first → rows."""
    corruption = _corruption(scenario)
    if corruption is not None:
        corruption = corruption.fitted(dataset)
    absent = _absent(dataset, scenario)

    def changed(severity: float, repeat: int, whole: Batch, empty: Batch, start: int) -> Batch:
        batch = whole.with_signals({name: empty.signals[name] for name in absent})
        if corruption is None:
            return batch
        return corruption(batch, severity, seeded(scenario.name, severity, repeat, seed, start))

    return [partial(changed, *draw) for draw in product(map(float, scenario.severities), range(scenario.repeats))]


def _joined(
    method: Method,
    dataset: Dataset,
    scenario: Scenario,
    seed: int,
    rows: torch.Tensor,
    outputs: Sequence[Sequence[Mapping[str, np.ndarray]]],
) -> Predictions:
    """The predictions of a scenario from what `variant_outputs` gave for each draw and chunk."""
    output_by_variant: dict[str, np.ndarray] = {}
    for name in outputs[0][0]:
        by_draw = [np.concatenate([part[name] for part in parts]) for parts in outputs]
        output_by_variant[name] = np.stack(by_draw).reshape(len(scenario.severities), scenario.repeats, len(rows), -1)
    ids = dataset.columns["id"].values[rows.numpy()].astype(str)
    for output in output_by_variant.values():
        wrong = np.asarray(~np.isfinite(output).all(axis=(0, 1, 3)))
        check_finite(wrong, ids, f"{type(method).__name__}, scenario {scenario.name!r}")
    target = dataset.target[rows].numpy()
    question = (scenario.name, definition(scenario), scenario.split, scenario.clean, seed)
    severities, output = np.asarray(scenario.severities, np.float64), output_by_variant.pop("")
    return Predictions(*question, severities, rows.numpy(), ids, target, output, output_by_variant)


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
    corruption_seed: int = 0,
    checksum: str = "",
) -> list[Record]:
    """Predict, keep and measure all scenarios in a run directory.

    Each scenario leaves `predictions/NAME.npz`, and its lines replace those of the same name in `records.jsonl`; the
    lines of other scenarios stay. Predictions are made once: where they exist already, only the metrics are computed
    again. Scenarios that only leave out modalities of the same rows are predicted together. The records are written once,
    at the end or when a scenario fails. Every file is replaced as a whole. So an evaluation that was killed can be
    repeated, and the same files result.

    The predictions of the method's variants are kept in the same file. Their lines are in `variants.jsonl`, under the
    method "METHOD [VARIANT]", so that a selection by records never sees them.

    Args:
        out: the run directory, or the folder in it of another corpus.
        run, method_name, seed: name of the run, name of the method and seed of the training, for the records.
        progress: print the current scenario on standard error.
        corruption_seed: seed of the corruption, equal for all runs that are to be compared.
        checksum: of the dataset as it was stored, for the records.

    Returns:
        The records of these scenarios, those of the variants after the method's own.

    Raises:
        SpecError, DataError, RunError: as `predict_scenario`; names, rows and corruptions are checked before any work.
        RunError: the kept predictions are those of another scenario with the same name.
    """
    protocol_of(dataset.task.protocol, dataset.task.kind)
    names = [scenario.name for scenario in scenarios]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise SpecError(f"two scenarios are called {repeated[0]!r}; give each its own name")
    for scenario in scenarios:
        _rows(dataset, scenario)
        _corruption(scenario)
    identity, records, variant_records = Identity(run, method_name, seed, checksum), [], []
    try:
        for number, scenario in enumerate(scenarios):
            if progress:
                line = f"evaluating {number + 1}/{len(scenarios)}: {scenario.name}"
                print(plain_text(line), file=sys.stderr, flush=True)
            predictions = kept_predictions(out, scenario, corruption_seed)
            if predictions is None:
                together = _together(out, scenarios[number:])
                made = predict_together(method, dataset, together, device=device, seed=corruption_seed)
                for one, its_scenario in zip(made, together, strict=True):
                    save_predictions(predictions_path(out, its_scenario), one)
                predictions = made[0]
            records += records_of(predictions, dataset, identity)
            for name in predictions.variants:
                variant = replace(identity, method=f"{method_name} [{name}]")
                variant_records += records_of(predictions.of(name), dataset, variant)
    finally:
        _merge(out / "records.jsonl", records)
        _merge(out / VARIANTS, variant_records)
    return records + variant_records


def _together(out: Path, scenarios: Sequence[Scenario]) -> list[Scenario]:
    """The first scenario and, if it changes no value, those of the same rows that change none and are not predicted yet."""
    first = scenarios[0]
    if first.corruption is not None:
        return [first]
    alike = [s for s in scenarios[1:] if (s.corruption, s.split, s.where) == (None, first.split, first.where)]
    return [first, *(scenario for scenario in alike if not predictions_path(out, scenario).is_file())]


def _merge(path: Path, fresh: list[Record]) -> None:
    if fresh:
        write_records(path, merged(read_records(path), fresh))


def predictions_path(out: Path, scenario: Scenario) -> Path:
    """Where a run directory keeps the predictions of a scenario."""
    return out / "predictions" / f"{file_stem(scenario.name)}.npz"


def kept_predictions(out: Path, scenario: Scenario, corruption_seed: int = 0) -> Predictions | None:
    """The predictions of an earlier evaluation, None without one.

    Raises:
        RunError: they are damaged, or of another scenario of the same name.
    """
    path = predictions_path(out, scenario)
    if not path.is_file():
        return None
    kept = load_predictions(path)
    if (kept.definition, kept.seed) != (definition(scenario), corruption_seed):
        raise RunError(f"{out} keeps predictions of another scenario {scenario.name!r}; give this one another name")
    return kept


def _rows(dataset: Dataset, scenario: Scenario) -> torch.Tensor:
    """(N,) int64 rows of a scenario, after a check of the modalities that it names."""
    for name in sorted(needed_modalities(scenario)):
        if name not in dataset.signals:
            hint = did_you_mean(name, dataset.signals)
            raise SpecError(f"scenario {scenario.name!r}: there is no modality {name!r}{hint}")
    split = dataset.rows(scenario.split)
    if not scenario.where:
        return torch.arange(split.start, split.stop)
    rows = dataset.where(scenario.where)
    rows = rows[(rows >= split.start) & (rows < split.stop)]
    if len(rows) == 0:
        raise DataError(
            f"scenario {scenario.name!r}: no row of {scenario.split!r} has {dict(scenario.where)}; change where"
        )
    return rows


def _corruption(scenario: Scenario) -> Corruption | None:
    corruption = scenario.corruption
    if isinstance(corruption, str):
        return build("corruptions", corruption, **scenario.arguments)
    return corruption
