"""`Job`: one training run of a sweep, named by what it asks for, and how far it is, told from its folder alone.

`deconfound.sweeps.execute` does a job; here nothing loads PyTorch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from deconfound.errors import RunError

Stage = Literal["train", "evaluate"]
State = Literal["planned", "running", "stopped", "done", "failed", "evaluated"]
STATES: tuple[State, ...] = ("planned", "running", "stopped", "done", "failed", "evaluated")


@dataclass(frozen=True)
class Job:
    """One training run of a sweep.

    Args:
        id: `job_id` of the specification and the data.
        dataset: label of the dataset in the sweep.
        method: label of the method.
        draw: number of the hyper-parameter draw; 0 is the default.
        seed: of the training.
        left_out: the environment that is validated on, None for the dataset's own validation rows.
        checksum: of the data.
        spec: what `Spec.dump` gave.
        final: it judges no draw, and is trained only if its draw is chosen.
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
class Work:
    """What an executor is asked to do; plain values, so that it can cross to another machine as JSON.

    Args:
        job: whose run.
        folder: the run directory.
        stage: train, or predict the test rows of what was trained.
        threads: CPU threads, set outside the specification.
        scenarios: [[scenario]] tables to evaluate; None for the default scenarios.
        patience: seconds to wait for another process that works in the folder.
    """

    job: Job
    folder: str
    stage: Stage
    threads: int = 1
    scenarios: tuple[Mapping[str, Any], ...] | None = None
    patience: float = 30.0

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, line: str) -> Work:
        """What `to_json` wrote."""
        values = json.loads(line)
        scenarios = values["scenarios"] if values["scenarios"] is None else tuple(values["scenarios"])
        return cls(**values | {"job": Job(**values["job"]), "scenarios": scenarios})


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended.

    Args:
        job: id of the job.
        ended: done; failed, with error.json in the folder; or busy: another process works there.
        message: of the error, one line.
    """

    job: str
    stage: Stage
    ended: Literal["done", "failed", "busy"]
    message: str = ""


def digest(value: object) -> str:
    """First 16 hexadecimal digits of the SHA-256 of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def job_id(spec: Mapping[str, Any], checksum: str) -> str:
    """Name of a run: the specification, and the data by their checksum and not by where they lie."""
    data = {name: value for name, value in spec["data"].items() if name != "store"}
    return digest({"spec": {**spec, "data": data}, "data": checksum})


def job_state(folder: Path) -> State:
    """How far a job is, from its folder alone.

    "stopped" is begun, without an error and in nobody's hands: the next call resumes it.
    """
    if is_held(folder):
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


def trained(folder: Path) -> bool:
    """True if the training is finished."""
    return (folder / "done.json").is_file()


def evaluated(folder: Path, scenarios: tuple[Mapping[str, Any], ...] | None) -> bool:
    """True if these scenarios were evaluated."""
    try:
        return json.loads((folder / "evaluated.json").read_text(encoding="utf-8")) == evaluation_mark(scenarios)
    except (OSError, ValueError):
        return False


def failure(folder: Path) -> dict[str, Any] | None:
    """What error.json holds, None where there is none."""
    try:
        return json.loads((folder / "error.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def evaluation_mark(scenarios: tuple[Mapping[str, Any], ...] | None) -> dict[str, Any]:
    """What evaluated.json holds once these scenarios were evaluated."""
    return {"scenarios": "default" if scenarios is None else digest(list(scenarios))}


def is_held(folder: Path) -> bool:
    """True while a process works in a job's folder."""
    try:
        with open(folder / ".job") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def read_sweep_json(out: Path) -> dict[str, Any]:
    """What sweep.json holds.

    Raises:
        RunError: no sweep, or a damaged one.
    """
    try:
        values = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{out} is not a sweep (no sweep.json in it); 'deconfound sweep SPEC --out DIR' makes one"
        ) from error
    except (OSError, ValueError) as error:
        raise RunError(f"{out / 'sweep.json'} cannot be read ({error}); call 'deconfound sweep' again") from error
    if not isinstance(values, dict) or not isinstance(values.get("jobs"), list):
        raise RunError(f"{out / 'sweep.json'} is damaged; call 'deconfound sweep' again")
    return values


def read_selection(out: Path, name: str = "selection.json") -> list[dict[str, Any]]:
    """The entries under "chosen" of selection.json, or of screening.json; none before it is written.

    Raises:
        RunError: it is damaged.
    """
    try:
        chosen = json.loads((out / name).read_text(encoding="utf-8"))["chosen"]
        return [dict(entry) for entry in chosen]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{out / name} is damaged ({error}); copy runs/ to another folder") from error
