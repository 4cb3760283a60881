"""Evaluating the method of a run on a corpus: which scenarios, with what log of test access, kept in which folder."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

from deconfound.data.dataset import Dataset
from deconfound.data.splits import DEVELOPMENT
from deconfound.errors import SpecError
from deconfound.evaluation.evaluate import evaluate_method, kept_predictions
from deconfound.evaluation.records import Record
from deconfound.evaluation.scenario import Scenario, SkippedScenarioWarning, default_scenarios, without_unused
from deconfound.method import Method
from deconfound.nn.inference import usable_device
from deconfound.runs.other_corpus import Corpus
from deconfound.runs.spec import Spec
from deconfound.runs.test_access import log_test_access


def requested_scenarios(
    run: Path,
    modalities: Collection[str],
    corpus: Corpus,
    scenarios: Sequence[Scenario] | None,
    splits: Sequence[str] | None,
) -> Sequence[Scenario]:
    """The scenarios that a call asks for, without those that need a modality which the run does not use.

    Args:
        run: the run directory.
        modalities: those that the run uses.

    Raises:
        SpecError: `scenarios` and `splits` together.
    """
    if scenarios is None:
        return default_scenarios(corpus.data, splits or (None if corpus.own else tuple(corpus.data.splits)))
    if splits:
        raise SpecError("scenarios name their own splits; leave out the scenarios or the splits")
    requested, skipped = without_unused(scenarios, modalities, corpus.modalities)
    if skipped:
        names = ", ".join(scenario.name for scenario in skipped)
        warnings.warn(
            f"{run} uses only {', '.join(modalities)}; skipped the scenarios that need more: {names}",
            SkippedScenarioWarning,
            stacklevel=4,
        )
    return requested


class KeptPredictionsWarning(UserWarning):
    """A device was asked for, and nothing is left to compute on it."""


def prepare_device(device: str, corpus: Corpus, scenarios: Sequence[Scenario]) -> None:
    """Refuse a device that this machine lacks; warn where an accelerator is asked for and nothing is left to predict.

    Raises:
        SpecError: no such device.
    """
    on_accelerator = usable_device(device).type != "cpu"
    if on_accelerator and all(kept_predictions(corpus.folder, scenario) is not None for scenario in scenarios):
        warnings.warn(
            f"all scenarios were predicted before: the predictions in {corpus.folder} are kept, and nothing is computed on "
            f"{device}; to predict again, delete its folder predictions",
            KeptPredictionsWarning,
            stacklevel=3,
        )


def evaluate_run(
    run: Path,
    spec: Spec,
    method: Method,
    corpus: Corpus,
    scenarios: Sequence[Scenario],
    device: str = "cpu",
    progress: bool = False,
) -> list[Record]:
    """Predict and measure; what was predicted before is only measured."""
    return evaluate_method(
        method,
        corpus.data,
        scenarios,
        out=corpus.folder,
        run=run.name,
        method_name=spec.title,
        seed=spec.seed,
        device=device,
        progress=progress,
        checksum=corpus.checksum,
    )


def log_new_accesses(run: Path, corpus: Corpus, scenarios: Sequence[Scenario]) -> None:
    """Log which scenarios are about to predict test rows."""
    tests = [scenario for scenario in scenarios if not corpus.own or scenario.split not in DEVELOPMENT]
    names = [scenario.name for scenario in tests if kept_predictions(corpus.folder, scenario) is None]
    log_test_access(run, names, corpus.data.name, corpus.checksum)


def validate_run(path: Path, spec: Spec, checksum: str, method: Method, development: Dataset) -> None:
    """Predict and measure the validation rows at the end of a training; no test row is touched.

    Args:
        checksum: of the whole dataset.
        development: the training and validation rows.
    """
    evaluate_method(
        method,
        development,
        [Scenario("valid", "valid")],
        out=path,
        run=path.name,
        method_name=spec.title,
        seed=spec.seed,
        checksum=checksum,
    )
