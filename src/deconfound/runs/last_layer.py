"""Retraining the last layer of a finished run on equally many training rows of each class or group (DFR)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.one_label import one_label_kind
from deconfound.errors import DataError, RunError
from deconfound.evaluation.outputs import row_batches
from deconfound.io.files import check_folder, write_json
from deconfound.method import Method
from deconfound.runs.cells import cells_of
from deconfound.runs.checkpoint import read_checkpoint, write_checkpoint
from deconfound.runs.derive import derived_environment, derived_folder, validation_risk
from deconfound.runs.members import check_single
from deconfound.runs.run import Run
from deconfound.runs.run_files import RETRAINED, check_run
from deconfound.runs.trained import weights_path, weights_prefix
from deconfound.statistics.linear_models import LinearFit, balanced_fit

Balance = Literal["class", "group", "class-and-group"]


@dataclass(frozen=True)
class _Inputs:
    """What the last layer gets of the training and validation rows: (N, W) inputs, (N,) targets and cells."""

    values: np.ndarray
    target: np.ndarray
    cells: np.ndarray
    train: range
    valid: range


def retrain_last_layer(
    run: Run | str | Path,
    out: str | Path,
    *,
    balance: Balance = "class",
    draws: int = 10,
    dataset: Dataset | None = None,
) -> Run:
    """A run whose last layer is fitted anew to equally many training rows of each cell, and is else the same.

    Kirichenko et al., Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations, ICLR 2023, in its form
    on training rows: the mean over draws of a linear model on as many rows of each cell as the smallest has. The strength of
    its L2 penalty is the one with the lowest validation risk, all cells counted alike. The validation rows have no other
    part in it, and test rows none.

    Args:
        run: finished; its backbone has a head that ends in a linear layer, so not a fusion that predicts.
        out: the new run directory.
        balance: cells of "class", "group" (the environments) or both crossed.
        draws: number of subsets; the same for equal runs.
        dataset: the run's data, if its specification does not name them or they moved.

    Raises:
        RunError: the run is not finished, is an ensemble or has no last linear layer, or `out` is not free.
        DataError: several labels a row, one cell, a cell without validation rows, or a class without training rows.
    """
    run, out = run if isinstance(run, Run) else Run.open(run), Path(out)
    check_run(run.path, finished=True)
    check_single(run.path, "a last layer")
    one_label_kind(run.task, "a last layer of balanced rows")
    check_folder(out, "free folder", "")
    started, development, method = time.monotonic(), run.dataset(dataset).development(), run.method()
    layer = last_layer(method)
    inputs = _collect(run.path, method, layer, development, balance)
    fit = _chosen_fit(inputs, run.task.kind == "classification", run.task.outputs, draws)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(fit.weight))
        assert layer.bias is not None, "a head ends in a layer with a bias"
        layer.bias.copy_(torch.from_numpy(fit.bias))
    spec = run.spec.model_copy(update={"name": f"{run.spec.title} + dfr"})
    note = f"the last layer was fitted to equally many training rows of each {balance}, L2 strength {fit.strength:g}"
    with derived_folder(out) as folder:
        target = weights_path(folder, spec)
        weights = {f"{weights_prefix(spec)}{name}": value for name, value in method.state_dict().items()}
        write_checkpoint({**read_checkpoint(weights_path(run.path, run.spec)), "state_dict": weights}, target)
        write_json(folder / "spec.json", spec.dump())
        write_json(folder / "environment.json", {**derived_environment(run), RETRAINED: balance})
        shutil.copyfile(run.path / "log.csv", folder / "log.csv")
        before = run.done or {}
        done = {**before, "notes": [*before["notes"], note]}
        write_json(folder / "done.json", done)  # a method is read from a finished run alone
        risk = validation_risk(Run(folder, spec, run.environment, run.code), out, development)
        seconds = round(before["seconds"] + time.monotonic() - started, 3)
        write_json(folder / "done.json", {**done, "best_risk": risk, "seconds": seconds})
    return Run.open(out, method=run.code.method, encoders=run.code.encoders)


def last_layer(method: Method) -> nn.Linear:
    """The linear layer that makes the output.

    Raises:
        RunError: there is none.
    """
    layers = [part for part in method.backbone.head.modules() if isinstance(part, nn.Linear)]
    if not layers or layers[-1].bias is None:
        raise RunError("the fusion of this run predicts by itself, so there is no last layer to retrain; use 'concat'")
    return layers[-1]


def _collect(run: Path, method: Method, layer: nn.Linear, data: Dataset, balance: Balance) -> _Inputs:
    """The inputs of the last layer in eval mode.

    Raises:
        RunError: the method makes its prediction otherwise than by this layer.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    parts = []
    try:
        with torch.no_grad():
            for batch in row_batches(data, range(len(data))):
                seen.clear()
                output = method(batch)
                made = method.hooks.in_target_units(nn.functional.linear(seen[-1], layer.weight, layer.bias))
                if (
                    len(seen) != 1
                    or made.shape != output.shape
                    or not torch.allclose(made, output, rtol=1e-4, atol=1e-4)
                ):
                    raise RunError(
                        f"{type(method).__name__} of {run} does not predict by the last layer of its head alone, so it cannot "
                        "be retrained; take a run of 'erm'"
                    )
                parts.append(seen[-1].double().numpy())
    finally:
        handle.remove()
    target = data.target.double()
    if data.task.kind == "regression":  # the layer predicts standard units
        zero, one = (float(method.hooks.in_target_units(torch.full((1, 1), value))) for value in (0.0, 1.0))
        target = (target - zero) / (one - zero)
    cells = cells_of(data, balance, f"balance = {balance!r}").numpy()
    return _Inputs(np.concatenate(parts), target.numpy(), cells, data.rows("train"), data.rows("valid"))


def _chosen_fit(inputs: _Inputs, classify: bool, outputs: int, draws: int) -> LinearFit:
    """The fit whose mean validation risk, over cells, is the lowest."""
    train, valid = (slice(rows.start, rows.stop) for rows in (inputs.train, inputs.valid))
    target = inputs.target.astype(np.int64) if classify else inputs.target
    absent = sorted(set(range(outputs)) - set(target[train].tolist())) if classify else []
    if absent:
        raise DataError(f"class number {absent[0]} has no training rows; a last layer cannot be fitted to it: add some")
    fits = [
        balanced_fit(
            inputs.values[train], target[train], inputs.cells[train], strength, draws, outputs if classify else 0
        )
        for strength in STRENGTHS
    ]
    own = inputs.cells[valid]
    risks = [_cell_risk(fit.risks(inputs.values[valid], target[valid]), own) for fit in fits]
    return fits[int(np.argmin(risks))]


STRENGTHS: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""L2 penalties per row that are tried, on inputs in standard deviations."""


def _cell_risk(risks: np.ndarray, cells: np.ndarray) -> float:
    return float(np.mean([risks[cells == cell].mean() for cell in np.unique(cells)]))
