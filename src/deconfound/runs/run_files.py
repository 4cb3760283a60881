"""What the JSON files of a run directory must hold; loads no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deconfound.datasets.fold_spec import FoldSpec
from deconfound.errors import RunError
from deconfound.io.reading import FileKind, read_model, reading

RUN = FileKind("run's file", RunError, "delete the run and run 'deconfound train' again")
"""A JSON file of a run directory."""

RETRAINED = "last_layer"
"""Entry of environment.json of a run whose last layer was fitted anew: the balance of the rows."""

_Size = Annotated[int, Field(ge=1, lt=2**31)]
_Index = Annotated[int, Field(ge=0, lt=2**31)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Modality(_Part):
    steps: _Size
    shape: list[_Size]


class _Repair(_Part):
    invalid: Literal["feature", "frame", "row"]
    width: _Index
    dropped: list[_Index]
    means: list[float]
    flagged: list[_Index]


class _Task(_Part):
    kind: Literal["regression", "classification", "multilabel"]
    classes: list[str]
    loss: str
    protocol: str


class _Fold(_Part):
    of: str
    checksum: str
    number: _Size
    count: _Size
    spec: FoldSpec


class _Data(_Part):
    name: str
    checksum: str
    environments: _Size = 1
    modalities: dict[str, _Modality] = Field(min_length=1)
    repairs: dict[str, _Repair | None] = {}
    target: str | list[str] | None = None
    fold: _Fold | None = None
    task: _Task
    class_counts: list[_Index] | None = None


class _Environment(_Part):
    data: _Data


class _Done(_Part):
    epochs: _Index
    best_epoch: _Index
    best_risk: float
    score: float | None = None
    seconds: float
    notes: list[str] = []


def read_environment(folder: Path) -> dict[str, Any]:
    """The content of a run's environment.json.

    Raises:
        RunError: the file is missing or damaged.
    """
    return read_model(folder / "environment.json", RUN, _Environment)


def read_done(folder: Path) -> dict[str, Any] | None:
    """The content of a run's done.json; None before training is finished.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "done.json"
    with reading(path, RUN):
        if not path.exists():
            return None
    return read_model(path, RUN, _Done, infinite=True)


def check_run(path: Path, *, finished: bool = False) -> None:
    """Refuse a path that is no run directory, before anything is read or loaded.

    Args:
        finished: refuse a run whose training did not end, too.

    Raises:
        RunError: it is not one.
    """
    with reading(path / "spec.json", RUN):
        is_run = (path / "spec.json").is_file()
    if not is_run:
        state = "is not a run (no spec.json in it)" if path.exists() else "does not exist"
        raise RunError(f"{path} {state}; make one with 'deconfound train SPEC --out RUN'")
    if finished and not (path / "done.json").is_file():
        raise unfinished(path)


def unfinished(path: Path) -> RunError:
    """The error that the training of a run did not end."""
    return RunError(f"the run {path} is not finished; run its 'deconfound train' command again to resume")
