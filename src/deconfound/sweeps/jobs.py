"""`Job`: one training run of a sweep, named by a hash of its specification and data, and its state on disk.

`deconfound.sweeps.execute` runs a job; nothing in this module loads PyTorch. A trial of a tuning is claimed and reported
with the same functions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from deconfound.errors import RunError
from deconfound.io.lock import is_locked, try_lock
from deconfound.io.reading import FileKind, read_json, read_model, reading
from deconfound.sweeps.sweep_files import SelectionJson, SweepJson

_FILE = FileKind("sweep's file", RunError, "call 'deconfound sweep' again")
_CHOICE = FileKind("choice of a sweep", RunError, "copy runs/ to another folder")

Stage = Literal["train", "evaluate"]
State = Literal["planned", "running", "stopped", "done", "failed", "evaluated"]
STATES: tuple[State, ...] = ("planned", "running", "stopped", "done", "failed", "evaluated")


@dataclass(frozen=True)
class Job:
    """One training run of a sweep.

    Args:
        id: `job_id` of the specification and the data.
        dataset: name of the dataset in the sweep.
        method: label of the method.
        draw: number of the hyper-parameter draw; 0 is the default.
        seed: seed of the training.
        left_out: environment to validate on; None for the validation rows of the dataset.
        checksum: checksum of the data.
        spec: specification, as `Spec.dump` returns it.
        final: True if the job judges no draw and is trained only once its draw is chosen.
    """

    id: str
    dataset: str
    method: str
    draw: int
    seed: int
    left_out: str | None
    checksum: str
    spec: Mapping[str, Any]
    final: bool = False


@dataclass(frozen=True)
class WorkItem:
    """One task for an executor: plain values, so that it can be sent to another machine as JSON.

    Args:
        job: the job to work on.
        folder: its run directory.
        stage: "train", or "evaluate" to predict the test rows with the trained run.
        threads: number of CPU threads.
        scenarios: [[scenario]] tables to evaluate; None for the default scenarios.
        lock_timeout: seconds to wait while another process works in the folder.
    """

    job: Job
    folder: str
    stage: Stage
    threads: int = 1
    scenarios: tuple[Mapping[str, Any], ...] | None = None
    lock_timeout: float = 30.0

    def to_json(self) -> str:
        """The item as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> WorkItem:
        """Read what `to_json` wrote."""
        values = json.loads(line)
        scenarios = values["scenarios"] if values["scenarios"] is None else tuple(values["scenarios"])
        return cls(**values | {"job": Job(**values["job"]), "scenarios": scenarios})


@dataclass(frozen=True)
class JobResult:
    """How a job of a sweep or a trial of a tuning ended.

    Args:
        job: id of the job or trial.
        state: "done"; "pruned", stopped early as too far behind (trials only); "failed"; or "busy", not begun because
            another process works on it.
        value: score if training is done, the lower the better: the best validation risk of a job, the mean of the best
            validation risks over the seeds of a trial. Else None.
        error: error message in one line, "" if none.
    """

    job: str
    state: Literal["done", "pruned", "failed", "busy"]
    value: float | None = None
    error: str = ""


def digest(value: object) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def job_id(spec: Mapping[str, Any], checksum: str) -> str:
    """Id of a job: a hash of the specification and the checksum of the data, whatever the path of the store."""
    data = {name: value for name, value in spec["data"].items() if name != "store"}
    return digest({"spec": {**spec, "data": data}, "data": checksum})


def job_folder(out: Path, job: str) -> Path:
    """Run directory of a job, by its id."""
    return out / "runs" / job


def job_state(folder: Path) -> State:
    """State of a job, read from its folder.

    "stopped" means begun, without an error, and no process works on it: the next call resumes it.
    """
    if is_claimed(folder):
        return "running"
    for name, state in _MARKS:
        if (folder / name).is_file():
            return state
    return "planned"


_MARKS: tuple[tuple[str, State], ...] = (
    ("error.json", "failed"),
    ("evaluated.json", "evaluated"),
    ("done.json", "done"),
    ("spec.json", "stopped"),
)


def is_trained(folder: Path) -> bool:
    """True if the job is trained to the end."""
    return (folder / "done.json").is_file()


def is_evaluated(folder: Path, scenarios: tuple[Mapping[str, Any], ...] | None) -> bool:
    """True if the job was evaluated on these scenarios."""
    try:
        return read_json(folder / "evaluated.json", _FILE) == evaluation_mark(scenarios)
    except RunError:
        return False


def read_error(folder: Path) -> dict[str, Any] | None:
    """The content of error.json, None if the job has not failed."""
    try:
        error = read_json(folder / "error.json", _FILE)
    except RunError:
        return None
    readable = isinstance(error.get("message"), str) and isinstance(error.get("may_pass", True), bool)
    return error if readable else None


def evaluation_mark(scenarios: tuple[Mapping[str, Any], ...] | None) -> dict[str, Any]:
    """The content of evaluated.json after an evaluation on these scenarios."""
    return {"scenarios": "default" if scenarios is None else digest(list(scenarios))}


_CLAIM = ".job"


def claim_job(folder: Path, timeout: float = 0.0) -> AbstractContextManager[bool]:
    """Claim the folder of a job or trial for this process while the block runs.

    Args:
        folder: folder of the job; it exists.
        timeout: seconds to wait while another process has the claim.

    Returns:
        A context manager. Its value is False if another process kept the claim.

    Raises:
        RunError: the folder cannot be written.
    """
    return try_lock(folder / _CLAIM, timeout)


def is_claimed(folder: Path) -> bool:
    """True while a process works on the job or trial of this folder."""
    return is_locked(folder / _CLAIM)


def read_sweep_json(out: Path) -> dict[str, Any]:
    """The content of sweep.json.

    Raises:
        RunError: the folder is not a sweep, or sweep.json is damaged.
    """
    path = out / "sweep.json"
    with reading(path, _FILE):
        if not path.exists():
            raise RunError(f"{out} is not a sweep (no sweep.json in it); 'deconfound sweep SPEC --out DIR' makes one")
        return read_model(path, _FILE, SweepJson)


def read_selection(out: Path, name: str = "selection.json") -> list[dict[str, Any]]:
    """The entries under "chosen" in selection.json or screening.json; an empty list before the file is written.

    Raises:
        RunError: the file is damaged.
    """
    path = out / name
    with reading(path, _CHOICE):
        return read_model(path, _CHOICE, SelectionJson)["chosen"] if path.exists() else []
