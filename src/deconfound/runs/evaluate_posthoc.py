"""Evaluating what is changed of a run afterwards: adjusted probabilities as a variant, intervals and sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.evaluation.evaluate import kept_predictions, predictions_path
from deconfound.evaluation.predictions import save_predictions
from deconfound.evaluation.records import Record
from deconfound.evaluation.scenario import Scenario
from deconfound.io.lock import exclusive_lock
from deconfound.runs.other_corpus import Corpus
from deconfound.runs.posthoc import Adjustment, Calibration, Prior, fit_adjustment
from deconfound.runs.regions import evaluate_regions, fit_region
from deconfound.runs.run import Run
from deconfound.runs.run_evaluation import requested_scenarios


def evaluate_posthoc(
    run: Run,
    scenarios: Sequence[Scenario] | None = None,
    *,
    dataset: Dataset | None = None,
    splits: Sequence[str] | None = None,
    device: str = "cpu",
    progress: bool = False,
    calibrate: Calibration | None = None,
    prior: Prior | None = None,
    level: float | None = None,
    by: Sequence[str] = (),
) -> list[Record]:
    """Evaluate a run, and beside it what is fitted to its validation rows.

    Adjusted probabilities are a variant of the run, as "erm [temperature]": the predictions are kept beside the run's own,
    and tables and reports show both. Coverage and size of intervals or sets are in `regions.jsonl`.

    Args:
        scenarios, dataset, splits, device, progress: as for `Run.evaluate`.
        calibrate, prior: as for `deconfound.runs.posthoc.fit_adjustment`.
        level: share of rows whose label the interval (regression) or set (classification) shall hold; None for none.
        by: columns whose values have thresholds of their own.

    Returns:
        the records of `Run.evaluate`, those of the variant among them, then those of the intervals or sets.

    Raises:
        RunError, DataError, SpecError: as `Run.evaluate`, `fit_adjustment` and `runs.regions.fit_region`.
    """
    adjustment = fit_adjustment(run, calibrate, prior)
    corpus = run.corpus(dataset)
    own = dataset if corpus.own else None
    region = None if level is None else fit_region(run, level, by, adjustment=adjustment, dataset=own)
    arguments = {"dataset": dataset, "splits": splits, "device": device, "progress": progress}
    records = run.evaluate(scenarios, **arguments)
    requested = requested_scenarios(run.path, run.modalities, corpus, scenarios, splits)
    if adjustment is not None:
        with exclusive_lock(run.path):
            for scenario in requested:
                keep_variant(corpus, scenario, adjustment)
        records = run.evaluate(scenarios, **arguments)
    if region is not None:
        records += evaluate_regions(run, corpus, requested, region, by, adjustment)
    return records


def keep_variant(corpus: Corpus, scenario: Scenario, adjustment: Adjustment) -> None:
    """Keep what an adjustment makes of a scenario's predictions beside these.

    Raises:
        RunError: the scenario was not evaluated.
    """
    kept = kept_predictions(corpus.folder, scenario)
    if kept is None:
        raise RunError(f"{corpus.folder} keeps no predictions of {scenario.name!r}; run 'deconfound evaluate' first")
    rows = kept.output.reshape(-1, kept.output.shape[-1])
    changed = np.asarray(adjustment.change(rows), dtype=np.float32).reshape(kept.output.shape)
    variants = {**kept.variants, adjustment.name: changed}
    save_predictions(predictions_path(corpus.folder, scenario), replace(kept, variants=variants))
