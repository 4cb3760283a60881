"""What may be changed of a trained classifier's probabilities afterwards: calibration, and another prior.

Both are choices of the moment and never a default. They are fitted to the validation rows' predictions that the run keeps;
no test row is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from deconfound.compose import MethodWrapper
from deconfound.data.one_label import one_label_kind
from deconfound.data.signal import Batch
from deconfound.errors import DataError, RunError, SpecError, did_you_mean
from deconfound.evaluation.evaluate import predictions_path
from deconfound.evaluation.predictions import Predictions, load_predictions
from deconfound.evaluation.scenario import Scenario
from deconfound.method import Loss, Method
from deconfound.runs.run import Run
from deconfound.runs.run_files import RETRAINED
from deconfound.scoring.isotonic import fit_isotonic
from deconfound.scoring.prior import shift_prior, smoothed_shares
from deconfound.scoring.temperature import fit_temperature
from deconfound.scoring.weights import Array

Calibration = Literal["temperature", "isotonic"]
CALIBRATIONS = ("temperature", "isotonic")
PRIORS = ("train", "uniform")
Prior = Literal["train", "uniform"] | Mapping[str, float]
"""Shares of the classes where the run will predict: those of the training rows, equal ones, or class → share."""


@dataclass(frozen=True)
class Adjustment:
    """A change of logits that was fitted to a run's validation rows.

    Args:
        name: what it does, as "temperature, prior=uniform"; the name of the variant under which it is evaluated.
        change: (N, C) logits → (N, C) logits.
        note: what was fitted, in words; "" where nothing was.
    """

    name: str
    change: Callable[[Array], Array]
    note: str = ""


class Adjusted(MethodWrapper):
    """Predicts as `inner`, with changed logits."""

    def __init__(self, inner: Method, adjustment: Adjustment) -> None:
        super().__init__(inner)
        self.adjustment = adjustment

    def forward(self, batch: Batch) -> Tensor:
        logits = self.inner(batch)
        changed = self.adjustment.change(logits.detach().float().cpu().numpy())
        return torch.from_numpy(np.asarray(changed, dtype=np.float32)).to(logits.device)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        return self.inner.loss(batch, progress, generator)


def adjusted_method(method: Method, adjustment: Adjustment | None) -> Method:
    """The method in eval mode with an adjustment, if there is one."""
    return method if adjustment is None else Adjusted(method, adjustment).eval()


def validation_predictions(run: Run) -> Predictions:
    """What the run predicted for its validation rows when training ended.

    Raises:
        RunError: they were deleted.
    """
    path = predictions_path(run.path, Scenario("valid", "valid"))
    if not path.is_file():
        raise RunError(
            f"{run.path} keeps no predictions of its validation rows; run 'deconfound evaluate {run.path} --split valid'"
        )
    return load_predictions(path)


def fit_adjustment(run: Run, calibrate: Calibration | None = None, prior: Prior | None = None) -> Adjustment | None:
    """The change that a calibration and a prior make together, the calibration first; None without both.

    Args:
        calibrate: "temperature" keeps the predicted classes, "isotonic" needs about a thousand validation rows.
        prior: the shares of the classes among the rows to predict.

    Raises:
        DataError: the run predicts numbers.
        SpecError: an unknown calibration or prior, or shares that do not name every class.
        RunError: the run keeps no validation predictions, or does not note the classes of its training rows.
    """
    if calibrate is None and prior is None:
        return None
    if one_label_kind(run.task, "a calibration or a prior") == "regression":
        raise DataError(
            f"{run.path} predicts numbers, which have no probabilities; leave the calibration and the prior out"
        )
    parts: list[Adjustment] = []
    if calibrate is not None:
        parts.append(_calibration(run, calibrate))
    if prior is not None:
        parts.append(_prior(run, calibrate, prior))

    def change(logits: Array) -> Array:
        for part in parts:
            logits = part.change(logits)
        return logits

    return Adjustment(
        ", ".join(part.name for part in parts), change, "; ".join(part.note for part in parts if part.note)
    )


def _calibration(run: Run, calibrate: str) -> Adjustment:
    if calibrate not in CALIBRATIONS:
        raise SpecError(f"there is no calibration {calibrate!r}{did_you_mean(calibrate, CALIBRATIONS)}")
    valid = validation_predictions(run)
    output, rows = valid.output[0, 0], len(valid.target)
    if calibrate == "isotonic":
        note = f"isotonic functions fitted to {rows} validation rows"
        return Adjustment(calibrate, fit_isotonic(output, valid.target), note)
    temperature = fit_temperature(output, valid.target)
    note = f"temperature {temperature:.3g}, fitted to {rows} validation rows"
    return Adjustment(calibrate, lambda logits: np.asarray(logits, dtype=np.float64) / temperature, note)


def _prior(run: Run, calibrate: str | None, prior: Prior) -> Adjustment:
    classes = run.task.classes
    trained = _training_shares(run)
    source = _learnt_shares(run, trained)
    if calibrate == "isotonic":  # which moves the shares to those of the validation rows
        valid = validation_predictions(run)
        source = smoothed_shares(np.bincount(valid.target, minlength=len(classes)))
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise SpecError(
                f"there is no prior {prior!r}{did_you_mean(prior, PRIORS)}; or give a share for each class, such as "
                f"{classes[0]}=0.5"
            )
        target = trained if prior == "train" else np.full(len(classes), 1 / len(classes))
        name = f"prior={prior}"
    else:
        target = _given_shares(prior, classes)
        name = f"prior={'/'.join(f'{share:.3g}' for share in target)}"
    return Adjustment(name, lambda logits: shift_prior(logits, source, target))


def _given_shares(prior: Mapping[str, float], classes: tuple[str, ...]) -> Array:
    wrong = [name for name in prior if name not in classes]
    if wrong:
        raise SpecError(f"a prior names the class {wrong[0]!r}{did_you_mean(wrong[0], classes)}")
    lacking = [name for name in classes if name not in prior]
    if lacking:
        raise SpecError(f"a prior needs a share for every class, and has none for {', '.join(map(repr, lacking))}")
    shares = np.array([prior[name] for name in classes], dtype=np.float64)
    if not np.isfinite(shares).all() or shares.min() < 0 or shares.sum() <= 0:
        raise SpecError(f"a prior has shares from 0 that are not all 0; got {dict(prior)}")
    return shares / shares.sum()


def _training_shares(run: Run) -> Array:
    """(C,) shares of the classes among the training rows."""
    counts = run.environment["data"].get("class_counts")
    if counts is None:
        raise RunError(
            f"{run.path} was trained by a version that did not note the classes of its training rows, which a prior needs; "
            "train it again"
        )
    expected = len(run.task.classes)
    if len(counts) != expected:
        file = run.path / "environment.json"
        raise RunError(f"{file} is damaged: it counts {len(counts)} classes of {expected}; train again")
    return smoothed_shares(np.asarray(counts))


def _learnt_shares(run: Run, trained: Array) -> Array:
    """(C,) shares of the classes in the rows that the last layer was fitted to, which the logits contain."""
    balance = run.environment.get(RETRAINED, run.spec.train.balance)
    weights = run.spec.train.class_weight
    if balance in ("class", "class-and-group") or weights == "balanced":
        return np.full(len(trained), 1 / len(trained))
    if weights is None:
        return trained
    weighted = trained * np.array([weights.get(name, 1.0) for name in run.task.classes])
    return weighted / weighted.sum()
