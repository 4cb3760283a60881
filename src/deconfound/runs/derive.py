"""Runs that are made of finished runs without training: an ensemble, or a run with another last layer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.evaluation.evaluate import kept_predictions
from deconfound.evaluation.scenario import Scenario
from deconfound.io.files import scratch_folder
from deconfound.runs.other_corpus import Corpus
from deconfound.runs.run import Run
from deconfound.runs.run_evaluation import evaluate_run


@contextmanager
def derived_folder(out: Path) -> Iterator[Path]:
    """A scratch folder that becomes `out` when the block succeeds and is gone when it does not.

    Raises:
        RunError: it cannot be written.
    """
    try:
        with scratch_folder(out) as scratch:
            yield scratch
            scratch.chmod(0o755)
            os.replace(scratch, out)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"cannot write {out}: {reason}; choose a place with room that you may write to") from error


def derived_environment(run: Run) -> Mapping[str, Any]:
    """environment.json of a run that is made of another one now."""
    return {**run.environment, "started": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv}


def validation_risk(run: Run, out: Path, development: Dataset) -> float:
    """Predict and measure the validation rows of a run under the name of its final folder; their mean risk."""
    import torch

    scenario = Scenario("valid", "valid")
    own = Corpus(development, run.checksum, run.path, tuple(development.signals), own=True)
    evaluate_run(out, run.spec, run.method(), own, [scenario])
    kept = kept_predictions(run.path, scenario)
    assert kept is not None, "an evaluation keeps its predictions"
    return float(run.task.risk(torch.from_numpy(kept.output[0, 0]), torch.from_numpy(kept.target)).mean())
