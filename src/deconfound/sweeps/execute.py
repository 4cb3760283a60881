"""Run a job of a sweep in this process.

Running a job again is safe: a finished job is left alone, a killed one resumes from its last epoch, and a failed one is
tried again. All state of a job is in its folder, so a sweep can be killed at any moment.
"""

from __future__ import annotations

import json
import os
import traceback
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from deconfound.errors import RunError
from deconfound.io.files import write_json
from deconfound.io.threads import cpu_threads
from deconfound.sweeps.jobs import JobResult, WorkItem, claim_job, evaluation_mark, job_id

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.runs.spec import Spec


def run_job(item: WorkItem) -> JobResult:
    """Do one work item in this process. An error is written to error.json and returned, not raised."""
    folder = Path(item.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with claim_job(folder, item.lock_timeout) as claimed:
            if not claimed:
                return JobResult(item.job.id, "busy", error=f"another process works in {folder}")
            (folder / "error.json").unlink(missing_ok=True)
            try:
                with cpu_threads(item.threads):
                    value = _train(item, folder) if item.stage == "train" else _evaluate(item, folder)
            except Exception as error:
                return record_failure(item, error)
    except RunError as error:
        return JobResult(item.job.id, "failed", error=str(error))
    except OSError as error:
        return JobResult(item.job.id, "failed", error=f"cannot write {folder}: {error.strerror or error}")
    return JobResult(item.job.id, "done", value)


def record_failure(item: WorkItem, error: Exception) -> JobResult:
    """Write error.json: type, message and traceback of an error, and whether the same call may succeed another time."""
    message = " ".join(str(error).split()) or type(error).__name__
    report = {
        "stage": item.stage,
        "type": type(error).__name__,
        "message": message,
        "may_pass": is_transient(error),
        "traceback": "".join(traceback.format_exception(error)),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(RunError):  # a full disk has no room for the report either; the result holds the message
        write_json(Path(item.folder) / "error.json", report)
    return JobResult(item.job.id, "failed", error=message)


class WorkerLostError(RunError):
    """The process of a job was killed from outside several times in a row."""


_TRANSIENT = ("OutOfMemoryError", "AcceleratorError")
"""Names of PyTorch errors that are due to the machine; names, so that PyTorch need not be loaded."""


def is_transient(error: BaseException | None) -> bool:
    """True for errors that may not occur again: memory, disk, a lost worker. A divergence would occur again."""
    while error is not None:
        if isinstance(error, OSError | MemoryError | WorkerLostError) or type(error).__name__ in _TRANSIENT:
            return True
        error = error.__cause__ or error.__context__
    return False


def _train(item: WorkItem, folder: Path) -> float:
    """Train the job and return its best validation risk."""
    from deconfound.training.best_epoch import EpochWarning
    from deconfound.training.train import train_run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EpochWarning)  # one for each of many runs; their notes keep it
        run = train_run(_spec(item, folder), folder, dataset=_dataset(item), progress=False)
    assert run.done is not None, "training returned before it was finished"
    return run.done["best_risk"]


def _evaluate(item: WorkItem, folder: Path) -> None:
    from deconfound.evaluation.scenario import SkippedScenarioWarning, scenario_from
    from deconfound.runs.run import Run

    scenarios = None if item.scenarios is None else [scenario_from(table) for table in item.scenarios]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedScenarioWarning)  # the summary of the sweep names them
        Run.open(folder).evaluate(scenarios, dataset=_dataset(item))
    write_json(folder / "evaluated.json", evaluation_mark(item.scenarios))


def _spec(item: WorkItem, folder: Path) -> Spec:
    """The specification of the job, or that of the folder if only the path of the store differs: then the ids agree."""
    from deconfound.runs.run import Run
    from deconfound.runs.spec import Spec

    if (folder / "spec.json").is_file():
        spec = Run.open(folder).spec
        if job_id(spec.dump(), item.job.checksum) == item.job.id:
            return spec
    return Spec.of(item.job.spec)


def _dataset(item: WorkItem) -> Dataset:
    data = item.job.spec["data"]
    dataset = shared_data(json.dumps({name: data.get(name) for name in ("store", "synthetic", "fold")}))
    if dataset.checksum != item.job.checksum:
        raise RunError(f"{item.job.dataset} has changed since the sweep was planned; call 'deconfound sweep' again")
    return dataset


@lru_cache(maxsize=2)
def shared_data(source: str) -> Dataset:
    """Load the dataset of a JSON {"store", "synthetic", "fold"}, and keep it in memory for the next job of this process."""
    from deconfound.runs.build import load_data
    from deconfound.runs.spec import DataSpec

    return load_data(DataSpec(**json.loads(source)))


def without_slurm() -> None:
    """Remove the variables of SLURM from this process: Lightning would take the allocation for one large run."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]
