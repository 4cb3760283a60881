"""What is measured of the laboratory's runs: columns from kept predictions, the Bayes predictors, curves of η."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from worlds import CLEAN, DAMAGED

from deconfound.data.dataset import Dataset
from deconfound.evaluation.evaluate import kept_predictions
from deconfound.evaluation.scenario import Scenario
from deconfound.runs.run import Run
from deconfound.scoring.calibration import probabilities

COLUMNS = ("iid", "do", "flip", "absent", "noisy", "nll do", "context")
ETAS = tuple(round(0.1 * step, 1) for step in range(11))


def column(scenario: Scenario) -> str:
    """ "do" for "test-do"."""
    return scenario.name.removeprefix("test-")


def scores(p: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Accuracy and mean negative log-likelihood of (..., N) probabilities of class 1."""
    truth = np.clip(np.where(target == 1, p, 1 - p), 1e-12, 1)
    return float(((p > 0.5) == (target == 1)).mean()), float(-np.log(truth).mean())


def leaning(p: np.ndarray, latents: np.ndarray) -> float:
    """How much of a prediction is read from the context: b / (|b| + |d|), in [-1, 1].

    d and b are the weights of D and B in a linear regression of the log-odds on (D, B, A). 0 for the best
    interventional predictor; below 0 the prediction counts against the context.

    Args:
        p: (N,) probabilities of class 1.
        latents: (N, 3) of D, B and A.
    """
    odds = np.log(np.clip(p, 1e-6, 1 - 1e-6) / np.clip(1 - p, 1e-6, 1))
    known = np.column_stack([np.ones(len(p)), latents])
    _, d, b, _ = np.linalg.lstsq(known, odds, rcond=None)[0]
    return float(b / (abs(b) + abs(d)))


def latents_of(data: Dataset, split: str) -> np.ndarray:
    """(N, 3) D, B and A of a split."""
    rows = data.rows(split)
    names = ("C/predominant", "S/predominant", "C/auxiliary")
    return np.column_stack([data.latents[name][rows.start : rows.stop, 0].double().numpy() for name in names])


def answers(folder: Path, scenario: Scenario) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Prediction → (V, repeats, N) probabilities of class 1, and the (N,) labels.

    The method's own prediction is named too if there are others.
    """
    kept = kept_predictions(folder, scenario)
    assert kept is not None, f"{folder} was not evaluated on {scenario.name}"
    method = Run.open(folder).spec.method
    inner = method.get("inner", {})
    own = (inner if isinstance(inner, dict) and inner else method).get("predict", "") if kept.variants else ""
    found = {own: kept.output, **kept.variants}
    return {name: _positive(output) for name, output in found.items()}, kept.target


def _positive(output: np.ndarray) -> np.ndarray:
    """(..., 2) logits → (...) probabilities of class 1."""
    return probabilities(output.reshape(-1, output.shape[-1]))[:, 1].reshape(output.shape[:-1])


def measure(folder: Path, alone: bool, latents: np.ndarray) -> dict[str, dict[str, float]]:
    """Prediction → column → value.

    Args:
        alone: the run is on the predominant modality, so damage of the auxiliary does not reach it.
        latents: (N, 3) of the rows of "test-do".
    """
    found: dict[str, dict[str, float]] = {}
    for scenario in CLEAN if alone else [*CLEAN, *DAMAGED]:
        given, target = answers(folder, scenario)
        for name, p in given.items():
            values = found.setdefault(name, {})
            values[column(scenario)], nll = scores(p, target)
            if scenario.name in ("test-do", "valid"):
                values[f"nll {column(scenario)}"] = nll
            if scenario.name == "test-do":
                values["context"] = leaning(p.reshape(-1), latents)
    for values in found.values() if alone else ():
        values["absent"] = values["noisy"] = values["iid"]
    return found


def columns_of(given: Mapping[str, np.ndarray], data: Dataset) -> dict[str, float]:
    """Column → value of a predictor's (N,) probabilities of class 1 on the undamaged rows."""
    values = {}
    for scenario in CLEAN:
        rows, p = data.rows(scenario.split), given[column(scenario)]
        values[column(scenario)], nll = scores(p, data.target[rows.start : rows.stop].numpy())
        if scenario.name == "test-do":
            values |= {"nll do": nll, "context": leaning(p, latents_of(data, scenario.split))}
    return values


def halves(folder: Path, other: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Column → the mean of a run's own probabilities and another predictor's."""
    own = {column(scenario): next(iter(answers(folder, scenario)[0].values())).reshape(-1) for scenario in CLEAN}
    return {name: (p + other[name]) / 2 for name, p in own.items()}


def bayes(data: Dataset) -> Iterator[tuple[str, dict[str, float]]]:
    """The Bayes predictors on the same rows."""
    for name in ("bayes-do", "bayes-iid"):
        truth = data.latents[name][:, 0].double().numpy()
        found = {column(s): truth[data.rows(s.split).start : data.rows(s.split).stop] for s in CLEAN}
        yield name.capitalize(), columns_of(found, data)


def curve(folder: Path) -> dict[str, list[float]]:
    """Column → values of (1 − η) task + η do for each of `ETAS`."""
    found: dict[str, list[float]] = {}
    for scenario in CLEAN:
        given, target = answers(folder, scenario)
        for eta in ETAS:
            accuracy, nll = scores((1 - eta) * given["task"] + eta * given["do"], target)
            found.setdefault(column(scenario), []).append(accuracy)
            found.setdefault(f"nll {column(scenario)}", []).append(nll)
    return found
