"""Doing a job of a sweep in this process.

A job is done any number of times with the result of once: what is finished is left alone, what was killed goes on from
its last epoch, what failed is tried again. Everything that is known about a job is in its folder, so a sweep can be
killed at any moment and carries no state of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.io.threads import cpu_threads
from deconfound.sweeps.jobs import Outcome, Work, evaluation_mark, job_id

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.runs.spec import Spec


def run_job(work: Work) -> Outcome:
    """Do a piece of work in this process. An error is written to error.json and returned, not raised."""
    folder = Path(work.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _holding(folder, work.patience) as held:
            if not held:
                return Outcome(work.job.id, work.stage, "busy", f"another process works in {folder}")
            (folder / "error.json").unlink(missing_ok=True)
            try:
                with cpu_threads(work.threads):
                    (_train if work.stage == "train" else _evaluate)(work, folder)
            except Exception as error:
                return note_failure(work, error)
    except OSError as error:
        return Outcome(work.job.id, work.stage, "failed", f"cannot write {folder}: {error.strerror or error}")
    return Outcome(work.job.id, work.stage, "done")


def note_failure(work: Work, error: Exception) -> Outcome:
    """Write error.json: type, message, traceback, and whether the same call may end otherwise another time."""
    message = " ".join(str(error).split()) or type(error).__name__
    about = {
        "stage": work.stage,
        "type": type(error).__name__,
        "message": message,
        "may_pass": is_transient(error),
        "traceback": "".join(traceback.format_exception(error)),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(RunError):  # a disk that made the job fail may have no room for the reason; the outcome tells it
        _write_json(Path(work.folder) / "error.json", about)
    return Outcome(work.job.id, work.stage, "failed", message)


class WorkerLostError(RunError):
    """The process of a job was killed from outside, again and again."""


_PASSING = ("OutOfMemoryError", "AcceleratorError")
"""Errors of PyTorch that have to do with the machine, by name so that it need not be loaded."""


def is_transient(error: BaseException | None) -> bool:
    """True for what another time or another machine may mend: memory, disk, a lost worker. A divergence comes again."""
    while error is not None:
        if isinstance(error, OSError | MemoryError | WorkerLostError) or type(error).__name__ in _PASSING:
            return True
        error = error.__cause__ or error.__context__
    return False


def _train(work: Work, folder: Path) -> None:
    from deconfound.training.train import train_run

    spec = _spec(work, folder)
    train_run(spec, folder, dataset=_checked(work), progress=False)


def _evaluate(work: Work, folder: Path) -> None:
    from deconfound.evaluation.scenario import scenario_from
    from deconfound.runs.run import Run

    wanted = None if work.scenarios is None else [scenario_from(table) for table in work.scenarios]
    Run.open(folder).evaluate(wanted, dataset=_checked(work))
    _write_json(folder / "evaluated.json", evaluation_mark(work.scenarios))


def _spec(work: Work, folder: Path) -> Spec:
    """The job's specification, or that of the folder where the store has moved since: the id says that nothing else did."""
    from deconfound.runs.run import Run
    from deconfound.runs.spec import Spec

    if (folder / "spec.json").is_file():
        begun = Run.open(folder).spec
        if job_id(begun.dump(), work.job.checksum) == work.job.id:
            return begun
    return Spec.of(work.job.spec)


def _checked(work: Work) -> Dataset:
    data = work.job.spec["data"]
    dataset = shared_data(json.dumps({"store": data["store"], "synthetic": data["synthetic"]}))
    if dataset.checksum != work.job.checksum:
        raise RunError(f"{work.job.dataset} has changed since the sweep was planned; call 'deconfound sweep' again")
    return dataset


@lru_cache(maxsize=2)
def shared_data(source: str) -> Dataset:
    """The dataset of a JSON {"store", "synthetic"}, kept in memory for the next job of this process."""
    from deconfound.runs.build import load_data
    from deconfound.runs.spec import DataSpec

    return load_data(DataSpec(**json.loads(source)))


@contextmanager
def _holding(folder: Path, patience: float) -> Iterator[bool]:
    """Hold a job's folder; False if another process does not let go of it in time."""
    until = time.monotonic() + patience
    with open(folder / ".job", "w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    yield False
                    return
                time.sleep(0.05)
        yield True


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(values, file, indent=1)


def without_slurm() -> None:
    """Forget the batch system in this process: the training engine would take the allocation for one large run."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]
