"""The program in two calls: `fit` a method to a dataset, `evaluate` runs into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.data.dataset import Dataset
from deconfound.evaluation.scenario import Scenario
from deconfound.nn.own_encoders import OwnEncoder, name_of
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    from deconfound.training.train import Logger


def fit(
    dataset: Dataset,
    method: str | Mapping[str, Any] = "cmir",
    *,
    out: str | Path,
    name: str | None = None,
    seed: int = 0,
    modalities: Sequence[str] | None = None,
    environment: Sequence[str] | None = None,
    backbone: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    loggers: Sequence[Logger] = (),
    progress: bool | None = None,
) -> Run:
    """Train a method on the "train" split, selecting the epoch on "valid"; test rows are cut off before training begins.

    The same call resumes what was interrupted and returns at once what is finished.

    Args:
        dataset: all splits.
        method: a name, or {"name": ..., argument: value}; see `deconfound show NAME`.
        out: the run directory.
        name: label in reports.
        seed: of weights, batch order and noise.
        modalities, environment: a part of the modalities; metadata columns that name the environment.
        backbone: fields of `BackboneSpec`; train: fields of `TrainSpec`.
        encoders: your own encoders, modality → module with `forward(values (B, T, *F), mask (B, T)) -> (B, H)`, which is
            copied and stays as it is; or a class or function without arguments that makes one, whose weights `seed` decides.
        loggers: further Lightning loggers.
        progress: a progress bar; by default on a terminal only.

    Returns:
        the finished run.

    Raises:
        SpecError, RunError, DataError: one line each.
    """
    from deconfound.training.train import train_run

    own = {modality: {"python": name_of(encoder)} for modality, encoder in (encoders or {}).items()}
    shape = dict(backbone or {})
    shape["encoders"] = {**shape.get("encoders", {}), **own}
    data = {"modalities": modalities and list(modalities), "environment": environment and list(environment)}
    values = {"name": name, "seed": seed, "data": data, "method": method, "backbone": shape, "train": train or {}}
    return train_run(Spec.of(values), out, dataset=dataset, encoders=encoders, loggers=loggers, progress=progress)


def evaluate(
    runs: Run | Sequence[Run],
    scenarios: Sequence[Scenario] | None = None,
    *,
    dataset: Dataset | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> pd.DataFrame:
    """Evaluate runs under scenarios (`default_scenarios` if left out) and return their records as one table.

    Args:
        dataset: the rows that the runs were trained on, needed for runs of `fit`, which do not name a store.
        encoders: as for `fit`; copies take the trained weights.
    """
    from deconfound.evaluation.records import frame

    chosen = [runs] if isinstance(runs, Run) else list(runs)
    records = [
        record
        for run in chosen
        for record in run.evaluate(scenarios, dataset=dataset, encoders=encoders, device=device, progress=progress)
    ]
    return frame(records)
