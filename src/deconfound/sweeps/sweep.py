"""A sweep: train the jobs, choose by validation records, then open the test rows of what was chosen.

The order is the point. Jobs are trained without test rows; `selection.json` is written; only then are test rows predicted,
and only by the chosen runs. A method whose choice is written is not chosen again: the sweep may grow by methods and datasets
later, but the runs that one was chosen from stay as they were. All state is in the files of the folder, so the same call
goes on after a kill at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconfound.errors import RunError
from deconfound.io.lock import exclusive_lock
from deconfound.sweeps.execute import run_job, shared_data
from deconfound.sweeps.executors import Executor, Resources, make_executor
from deconfound.sweeps.jobs import Job, Outcome, Stage, Work, evaluated, failure, read_selection, trained
from deconfound.sweeps.plan import Plan, config_of, finals_of_a_draw, make_plan, read_plan
from deconfound.sweeps.progress import Progress
from deconfound.sweeps.select import choose, next_jobs
from deconfound.sweeps.spec import SweepSpec


@dataclass(frozen=True)
class Summary:
    """How a sweep stands after a call.

    Args:
        out: its folder.
        plan: all jobs.
        chosen: entries of selection.json.
        failed: job → message, of jobs that failed and are not evaluated.
        open: "method on dataset" → why nothing is chosen or evaluated yet.
    """

    out: Path
    plan: Plan
    chosen: tuple[dict[str, Any], ...]
    failed: Mapping[str, str]
    open: Mapping[str, str]

    @property
    def runs(self) -> list[Path]:
        """Directories of the chosen runs."""
        return [self.out / "runs" / name for entry in self.chosen for name in entry["runs"]]

    def text(self) -> str:
        """The budget, what was chosen, and how many failed."""
        lines = [self.plan.budget_text()]
        if self.plan.spec.selection.rule == "oracle":
            lines.append("oracle: chosen by TEST rows; a bound on what selection could gain, not a result")
        for entry in self.chosen:
            score = f"{entry['metric']} {entry['score']:.4g}"
            lines.append(f"{entry['dataset']}: {entry['key']} (draw {entry['draw']}), {entry['rule']} {score}")
        if self.failed:
            lines.append(f"{len(self.failed)} failed; 'deconfound sweep status {self.out}' shows why")
        return "\n".join(lines)


def run_sweep(
    spec: SweepSpec,
    out: str | Path,
    *,
    executor: str | Executor = "serial",
    resources: Resources | None = None,
    progress: bool | None = None,
) -> Summary:
    """Do what a sweep has left to do; finished jobs are not done again.

    Args:
        out: the sweep's folder; made if it does not exist.
        executor: name of an executor, or one that is made already.
        resources: of a named executor; the threads are the specification's.
        progress: a line with the time left on standard error; by default on a terminal only.

    Raises:
        SpecError, DataError, StoreError: what `make_plan` refuses, before any training.
        RunError: another sweep works in the folder, or it has chosen among other runs already.
        KeyboardInterrupt: Ctrl-C; the same call resumes.
    """
    out = Path(out)
    _make_folder(out)
    with exclusive_lock(out):
        shared_data.cache_clear()
        plan = make_plan(spec)
        freeze_plan(plan, out)
        if isinstance(executor, str):
            given = resources or Resources()
            executor = make_executor(executor, Resources(given.workers, spec.threads, given.gpus, given.address))
        with closing(executor):
            still_open = choose(plan, out, _train(plan, out, executor, progress))
            wanted = [name for entry in read_selection(out) for name in entry["runs"]]
            _evaluate(plan, out, executor, progress, wanted)
        return _summary(plan, out, still_open)


def freeze_plan(plan: Plan, out: Path) -> None:
    """Write sweep.json, unless runs were chosen among others than the plan's.

    Raises:
        RunError: that is the case.
    """
    pairs = plan.pairs
    for entry in read_selection(out):
        known = {name for candidate in entry["candidates"] for name in candidate["runs"]} | {*entry["runs"]}
        jobs = pairs.get((entry["dataset"], entry["method"]), ())
        planned = {job.id for job in jobs if not job.final or config_of(job) == entry["config"]}
        if known != planned or entry["rule"] != plan.spec.selection.rule:
            raise RunError(
                f"{out} has chosen a configuration of {entry['method']} on {entry['dataset']} and opened its test rows; "
                "with other draws, seeds, settings or data that choice would not be blind: choose another folder"
            )
    plan.write(out)


def run_job_by_name(spec: SweepSpec, out: str | Path, name: str) -> Outcome:
    """Train one job of a sweep in this process, for schedulers that start one command per job.

    Raises:
        RunError: no such job, or what `settle` refuses.
    """
    out = Path(out)
    _make_folder(out)
    plan = prepare(spec, out)
    jobs = {job.id: job for job in plan.jobs}
    if name not in jobs:
        raise RunError(f"{out} has no job {name!r}; 'deconfound sweep --print' lists them")
    threads = make_executor("serial", Resources(threads=spec.threads)).threads
    return run_job(_work(jobs[name], out, "train", threads, plan))


def left(spec: SweepSpec, out: str | Path) -> tuple[list[Job], int]:
    """The jobs that may be trained now, and about how many more there will be once these have judged the draws.

    Raises:
        SpecError, DataError, StoreError, RunError: what `prepare` refuses.
    """
    out = Path(out)
    plan = prepare(spec, out)
    now = next_jobs(plan, out)
    fixed = {(entry["dataset"], entry["method"]) for entry in read_selection(out)}
    waiting = {(job.dataset, job.method) for job in now if not job.final} - fixed
    return now, sum(finals_of_a_draw(plan.pairs[pair]) for pair in waiting)


def prepare(spec: SweepSpec, out: str | Path) -> Plan:
    """The plan of a sweep: that of the folder if it is of the same specification, else a new one, written there.

    Raises:
        SpecError, DataError, StoreError, RunError: what `make_plan` and `settle` refuse.
    """
    out = Path(out)
    if (out / "sweep.json").is_file():
        plan = read_plan(out)
        if plan.spec == spec:
            return plan
    plan = make_plan(spec)
    _make_folder(out)
    freeze_plan(plan, out)
    return plan


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        strangers = [entry.name for entry in out.iterdir() if entry.name[0] != "."]
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}; choose a folder you may write to") from error
    if strangers and "sweep.json" not in strangers:
        raise RunError(f"{out} is not empty and not a sweep (it holds {strangers[0]!r}); choose another folder")


def _folder(out: Path, job: Job | str) -> Path:
    return out / "runs" / (job if isinstance(job, str) else job.id)


def _work(job: Job, out: Path, stage: Stage, threads: int, plan: Plan) -> Work:
    return Work(job, str(_folder(out, job).resolve()), stage, threads, plan.scenarios)


def _train(plan: Plan, out: Path, executor: Executor, progress: bool | None) -> set[str]:
    """Train what is due until nothing more is, each job once; of a pair that was chosen from already, nothing.

    Returns:
        ids of the jobs that another process holds.
    """
    busy: set[str] = set()
    tried: set[str] = set()
    opened: set[str] = set()
    while True:
        if plan.spec.selection.rule == "oracle":
            fresh = [
                job.id for job in plan.jobs if not job.final and trained(_folder(out, job)) and job.id not in opened
            ]
            opened.update(fresh)
            busy |= _evaluate(plan, out, executor, progress, fresh)
        left = [job for job in next_jobs(plan, out, busy) if job.id not in tried]
        if not left:
            return busy
        tried |= {job.id for job in left}
        busy |= _do([_work(job, out, "train", executor.threads, plan) for job in left], executor, progress)


def _evaluate(plan: Plan, out: Path, executor: Executor, progress: bool | None, wanted: Sequence[str]) -> set[str]:
    """Predict the test rows of the wanted jobs, except of those that were evaluated already."""
    jobs = {job.id: job for job in plan.jobs}
    left = [name for name in dict.fromkeys(wanted) if not evaluated(_folder(out, name), plan.scenarios)]
    return _do([_work(jobs[name], out, "evaluate", executor.threads, plan) for name in left], executor, progress)


def _do(works: Sequence[Work], executor: Executor, progress: bool | None) -> set[str]:
    busy: set[str] = set()
    if not works:
        return busy
    what = (
        "train chosen draws" if works[0].stage == "train" and all(work.job.final for work in works) else works[0].stage
    )
    with Progress(what, len(works), progress) as line, closing(executor.run(works)) as outcomes:
        for outcome in outcomes:
            if outcome.ended == "busy":
                busy.add(outcome.job)
            line.step(failed=outcome.ended != "done")
    return busy


def _summary(plan: Plan, out: Path, still_open: Mapping[str, str]) -> Summary:
    errors = {job.id: failure(_folder(out, job)) for job in plan.jobs}
    failed = {name: error["message"] for name, error in errors.items() if error is not None}
    chosen, left = tuple(read_selection(out)), dict(still_open)
    for entry in chosen:
        for name in entry["runs"]:
            if not evaluated(_folder(out, name), plan.scenarios):
                left[f"{entry['method']} on {entry['dataset']}"] = failed.get(name, f"{name} is not evaluated")
    return Summary(out, plan, chosen, failed, left)
