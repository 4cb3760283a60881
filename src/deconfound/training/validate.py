"""The validation rows at the end of a training."""

from __future__ import annotations

from deconfound.data.dataset import Dataset
from deconfound.evaluation.evaluate import evaluate_method
from deconfound.evaluation.scenario import Scenario
from deconfound.method import Method
from deconfound.runs.run import Run


def validate(run: Run, method: Method, development: Dataset) -> None:
    """Predict and measure the validation rows at the end of training; no test row is touched."""
    evaluate_method(
        method,
        development,
        [Scenario("valid", "valid")],
        out=run.path,
        run=run.path.name,
        method_name=run.spec.title,
        seed=run.spec.seed,
        checksum=run.checksum,
    )
