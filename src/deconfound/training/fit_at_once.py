"""The training of a method that is fitted to all rows at once: one fit in the place of all epochs."""

from __future__ import annotations

import time

import torch

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.io.files import write_json
from deconfound.method import Method
from deconfound.runs.checkpoint import write_checkpoint
from deconfound.runs.run import Run
from deconfound.runs.run_evaluation import validate_run
from deconfound.training.learner import RISK
from deconfound.training.loaders import derive_seed
from deconfound.training.run_writers import CsvLogger

_ROWS = 512  # predicted at a time


def fit_at_once(run: Run, method: Method, data: Dataset) -> None:
    """Fit, keep the weights as those of the epoch 0, validate, and write what every finished run has.

    Args:
        data: the training and validation rows.

    Raises:
        RunError: the fit gives predictions that are not finite.
    """
    assert method.hooks.fit is not None, "other methods are trained in epochs"
    start = time.monotonic()
    method.eval()
    method.hooks.fit(data, torch.Generator().manual_seed(derive_seed(run.spec.seed, 0, -3, 1)))
    risks = {split: _risk(method, data, split) for split in ("train", "valid")}
    if not all(risk < float("inf") for risk in risks.values()):
        raise RunError(f"the fit of {run.spec.title!r} has risks of {risks}; look for values out of range in the data")
    weights = {f"method.{name}": value for name, value in method.state_dict().items()}
    for name in (run.spec.train.keep, "last"):
        write_checkpoint({"epoch": 0, "state_dict": weights}, run.path / "checkpoints" / f"{name}.safetensors")
    log = CsvLogger(run.path / "log.csv")
    log.log_metrics({"train/total": risks["train"], RISK: risks["valid"], "epoch": 0}, step=0)
    validate_run(run.path, run.spec, run.checksum, run.load_weights(method), data)
    done = {
        "epochs": 1,
        "steps": 1,
        "best_epoch": 0,
        "best_risk": risks["valid"],
        "score": risks["valid"],
        "notes": list(method.hooks.summary_lines()),
        "seconds": round(time.monotonic() - start, 3),
        "parameters": sum(parameter.numel() for parameter in method.parameters()),
    }
    write_json(run.path / "done.json", done)


def _risk(method: Method, data: Dataset, split: str) -> float:
    """Mean of the task's risk over a split."""
    rows, total = data.rows(split), 0.0
    with torch.no_grad():
        for start in range(rows.start, rows.stop, _ROWS):
            batch = data.batch(range(start, min(start + _ROWS, rows.stop)))
            total += float(data.task.risk(method(batch).float(), batch.target).double().sum())
    return total / max(1, len(rows))
