"""The program in two calls: `fit` a method to a dataset, `evaluate` runs into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.data.dataset import Dataset
from deconfound.evaluation.scenario import Scenario
from deconfound.nn.own_encoders import OwnEncoder, name_of
from deconfound.runs.begin import free_folder
from deconfound.runs.own_code import OwnMethod, method_table
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    from deconfound.training.train import Logger


def fit(
    dataset: Dataset,
    method: str | Mapping[str, Any] | OwnMethod = "cmir",
    *,
    out: str | Path | None = None,
    name: str | None = None,
    seed: int = 0,
    modalities: Sequence[str] | None = None,
    environment: Sequence[str] | None = None,
    scale: str | Mapping[str, str] = "standard",
    scale_by: str | Sequence[str] | None = None,
    backbone: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    loggers: Sequence[Logger] = (),
    progress: bool | None = None,
) -> Run:
    """Train a method on the "train" split and select the epoch on "valid"; test rows are cut off before training begins.

    The same call resumes an interrupted run and returns a finished one at once.

    Args:
        dataset: all splits.
        method: a name, or {"name": ..., argument: value}, see `deconfound show NAME`; a subclass of `Method`, or
            {"python": CLASS, argument: value}; {"python": "file.py:Class"}; or a method on a backbone of its own, which is
            copied and stays as it is.
        out: the run directory; by default a folder in `runs` named after dataset, method and seed, which is printed. It is
            another one where that holds a run of another specification or data, or where the method or an encoder is code in
            memory, which may have changed since.
        name: label in reports.
        seed: determines initial weights, batch order and noise.
        modalities: the modalities to use; all if left out.
        environment: metadata columns that name the environment.
        scale: scaling of the inputs, learnt from the training rows: "standard", "robust", "rank-gauss" or "none", or modality
            → one of these.
        scale_by: metadata columns, such as the speaker, whose own rows scale the inputs of each of their groups, in
            training and prediction alike. No label is read.
        backbone: fields of `BackboneSpec`; train: fields of `TrainSpec`.
        encoders: your own encoders, modality → module with `forward(values (B, T, *F), mask (B, T)) -> (B, H)`, which is
            copied and stays as it is; or a class or function without arguments that makes one, whose weights `seed` decides.
        loggers: further Lightning loggers.
        progress: draw a progress bar; by default on a terminal only.

    Returns:
        the finished run.

    Raises:
        SpecError, RunError, DataError: as `deconfound.training.train.train_run`.
    """
    from deconfound.training.train import train_run  # loads Lightning, which `evaluate` does not need

    table, own = method_table(method)
    python_encoders = {modality: {"python": name_of(encoder)} for modality, encoder in (encoders or {}).items()}
    backbone = dict(backbone or {})
    backbone["encoders"] = {**backbone.get("encoders", {}), **python_encoders}
    data: dict[str, Any] = {
        "modalities": modalities and list(modalities),
        "environment": environment and list(environment),
    }
    data |= {"scale": scale if isinstance(scale, str) else dict(scale), "scale_by": scale_by}
    values = {"name": name, "seed": seed, "data": data, "method": table, "backbone": backbone, "train": train or {}}
    spec = Spec.of(values)
    folder = free_folder(spec, dataset, fresh=own is not None or bool(encoders)) if out is None else Path(out)
    if out is None:
        print(f"the run is in {folder}")
    return train_run(spec, folder, dataset=dataset, method=own, encoders=encoders, loggers=loggers, progress=progress)


def evaluate(
    runs: Run | str | Path | Sequence[Run | str | Path],
    scenarios: Sequence[Scenario] | None = None,
    *,
    dataset: Dataset | None = None,
    splits: Sequence[str] | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> pd.DataFrame:
    """Evaluate runs under scenarios (`default_scenarios` if left out) and return their records as one table.

    Args:
        runs: one or more, as `Run` or directory.
        dataset: the rows that the runs were trained on, needed for runs of `fit`, which do not name a store; or another
            corpus with the same modalities, classes, task and protocol, whose results are kept apart.
        splits: splits of the default scenarios; by default all but "train", and all of another corpus.
        encoders: as for `fit`; copies take the trained weights.
        device: where to compute, such as "cuda".
        progress: print on standard error which scenario is being predicted.
    """
    from deconfound.evaluation.records import frame

    records = [
        record
        for run in ([runs] if isinstance(runs, Run | str | Path) else runs)
        for record in (run if isinstance(run, Run) else Run.open(run)).evaluate(
            scenarios, dataset=dataset, splits=splits, encoders=encoders, device=device, progress=progress
        )
    ]
    return frame(records)
