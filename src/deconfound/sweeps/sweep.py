"""A sweep: train the jobs, choose by validation records, then open the test rows of what was chosen.

The order matters. First the jobs are trained without test rows, then `selection.json` is written, and only then do the
chosen runs predict test rows. A choice that is written is final: the sweep may later grow by methods and datasets, but the
runs that a method was chosen from stay as they were. All state is in the files of the folder, so the same call resumes after
a kill at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deconfound.errors import RunError
from deconfound.io.files import claim_folder
from deconfound.io.lock import exclusive_lock
from deconfound.io.plain_text import text_of_lines
from deconfound.sweeps.execute import run_job, shared_data
from deconfound.sweeps.executors import Executor, Resources, make_executor
from deconfound.sweeps.jobs import (
    Job,
    JobResult,
    Stage,
    WorkItem,
    is_evaluated,
    is_trained,
    job_folder,
    read_error,
    read_selection,
)
from deconfound.sweeps.plan import Plan, config_of, count_final_jobs, make_plan, read_plan
from deconfound.sweeps.progress import Progress
from deconfound.sweeps.select import choose, next_jobs
from deconfound.sweeps.spec import SweepSpec


@dataclass(frozen=True)
class SweepSummary:
    """State of a sweep after a call.

    Args:
        out: folder of the sweep.
        plan: the sweep and all its jobs.
        chosen: entries of selection.json.
        failed: id of a failed job → error message.
        unfinished: "method on dataset" → why nothing is chosen or evaluated yet.
    """

    out: Path
    plan: Plan
    chosen: tuple[dict[str, Any], ...]
    failed: Mapping[str, str]
    unfinished: Mapping[str, str]

    @property
    def runs(self) -> list[Path]:
        """Directories of the chosen runs."""
        return [job_folder(self.out, name) for entry in self.chosen for name in entry["runs"]]

    def text(self) -> str:
        """The budget, the chosen configurations, the skipped scenarios, and the number of failed jobs."""
        lines = self.plan.budget_text().splitlines()
        if self.plan.spec.selection.rule == "oracle":
            lines.append("oracle: chosen by TEST rows; a bound on what selection could gain, not a result")
        for entry in self.chosen:
            score = f"{entry['metric']} {entry['score']:.4g}"
            lines.append(f"{entry['dataset']}: {entry['key']} (draw {entry['draw']}), {entry['rule']} {score}")
        for pair, names in self.plan.skipped.items():
            lines.append(f"{pair}: skipped scenarios that need a modality which it does not use: {', '.join(names)}")
        if self.failed:
            lines.append(f"{len(self.failed)} failed; 'deconfound sweep status {self.out}' shows why")
        return text_of_lines(lines)


def run_sweep(
    spec: SweepSpec,
    out: str | Path,
    *,
    executor: str | Executor = "serial",
    resources: Resources | None = None,
    progress: bool | None = None,
) -> SweepSummary:
    """Run a sweep, or what is left of it; finished jobs are not run again.

    Args:
        out: folder of the sweep; made if it does not exist.
        executor: name of an executor, or an executor.
        resources: resources of a named executor; the number of threads is that of the specification.
        progress: True to show a line with the time left on standard error; None shows it on a terminal only.

    Raises:
        SpecError, DataError, StoreError: `make_plan` refuses the sweep, before any training.
        RunError: another sweep works in the folder, or it was chosen among other runs already.
        KeyboardInterrupt: the user pressed Ctrl-C; the same call resumes.
    """
    out = Path(out)
    claim_folder(out, "sweep", "sweep.json")
    with exclusive_lock(out):
        shared_data.cache_clear()
        plan = make_plan(spec)
        freeze_plan(plan, out)
        if isinstance(executor, str):
            executor = make_executor(executor, replace(resources or Resources(), threads=spec.threads))
        with closing(executor):
            unfinished = choose(plan, out, _train(plan, out, executor, progress))
            chosen = [name for entry in read_selection(out) for name in entry["runs"]]
            _evaluate(plan, out, executor, progress, chosen)
        return _summary(plan, out, unfinished)


def freeze_plan(plan: Plan, out: Path) -> None:
    """Write sweep.json, unless a written choice was made among other runs than those of the plan.

    Raises:
        RunError: a choice was made among other runs.
    """
    pairs = plan.pairs
    for entry in read_selection(out):
        judged = {name for candidate in entry["candidates"] for name in candidate["runs"]} | {*entry["runs"]}
        jobs = pairs.get((entry["dataset"], entry["method"]), ())
        planned = {job.id for job in jobs if not job.final or config_of(job) == entry["config"]}
        if judged != planned or entry["rule"] != plan.spec.selection.rule:
            raise RunError(
                f"{out} has chosen a configuration of {entry['method']} on {entry['dataset']} and opened its test rows; "
                "a choice with other draws, seeds, settings or data would not be blind: choose another folder"
            )
    plan.write(out)


def run_job_by_name(spec: SweepSpec, out: str | Path, name: str) -> JobResult:
    """Train one job of a sweep in this process, for schedulers that start one command per job.

    Raises:
        RunError: there is no such job, or `freeze_plan` refuses the sweep.
    """
    out = Path(out)
    claim_folder(out, "sweep", "sweep.json")
    plan = prepare(spec, out)
    jobs = {job.id: job for job in plan.jobs}
    if name not in jobs:
        raise RunError(f"{out} has no job {name!r}; 'deconfound sweep --print' lists them")
    threads = make_executor("serial", Resources(threads=spec.threads)).threads
    return run_job(_work_item(jobs[name], out, "train", threads, plan))


def pending_jobs(spec: SweepSpec, out: str | Path) -> tuple[list[Job], int]:
    """The jobs that can be trained now, and about how many more will follow once these have judged the draws.

    Raises:
        SpecError, DataError, StoreError, RunError: `prepare` refuses the sweep.
    """
    out = Path(out)
    plan = prepare(spec, out)
    jobs = next_jobs(plan, out)
    chosen = {(entry["dataset"], entry["method"]) for entry in read_selection(out)}
    judging = {(job.dataset, job.method) for job in jobs if not job.final} - chosen
    return jobs, sum(count_final_jobs(plan.pairs[pair]) for pair in judging)


def prepare(spec: SweepSpec, out: str | Path) -> Plan:
    """The plan of the folder if it has the same specification, else a new plan, which is written to the folder.

    Raises:
        SpecError, DataError, StoreError, RunError: `make_plan` or `freeze_plan` refuses the sweep.
    """
    out = Path(out)
    if (out / "sweep.json").is_file():
        plan = read_plan(out)
        if plan.spec == spec:
            return plan
    plan = make_plan(spec)
    claim_folder(out, "sweep", "sweep.json")
    freeze_plan(plan, out)
    return plan


def _work_item(job: Job, out: Path, stage: Stage, threads: int, plan: Plan) -> WorkItem:
    return WorkItem(job, str(job_folder(out, job.id).resolve()), stage, threads, plan.scenarios)


def _train(plan: Plan, out: Path, executor: Executor, progress: bool | None) -> set[str]:
    """Train the next jobs until there are none, each job once in this call. A pair with a written choice has none.

    Returns:
        ids of the jobs that another process works on.
    """
    busy: set[str] = set()
    attempted: set[str] = set()
    opened: set[str] = set()
    while True:
        if plan.spec.selection.rule == "oracle":
            judging = [job.id for job in plan.jobs if not job.final and job.id not in opened]
            unopened = [name for name in judging if is_trained(job_folder(out, name))]
            opened.update(unopened)
            busy |= _evaluate(plan, out, executor, progress, unopened)
        jobs = [job for job in next_jobs(plan, out, busy) if job.id not in attempted]
        if not jobs:
            return busy
        attempted |= {job.id for job in jobs}
        busy |= _execute([_work_item(job, out, "train", executor.threads, plan) for job in jobs], executor, progress)


def _evaluate(plan: Plan, out: Path, executor: Executor, progress: bool | None, names: Sequence[str]) -> set[str]:
    """Predict the test rows with the named jobs, except those that were evaluated already."""
    jobs = {job.id: job for job in plan.jobs}
    pending = [name for name in dict.fromkeys(names) if not is_evaluated(job_folder(out, name), plan.scenarios)]
    items = [_work_item(jobs[name], out, "evaluate", executor.threads, plan) for name in pending]
    return _execute(items, executor, progress)


def _execute(items: Sequence[WorkItem], executor: Executor, progress: bool | None) -> set[str]:
    """Do all work items and return the ids of the jobs that another process works on."""
    busy: set[str] = set()
    if not items:
        return busy
    stage = items[0].stage
    title = "train chosen draws" if stage == "train" and all(item.job.final for item in items) else stage
    with Progress(title, len(items), progress) as line, closing(executor.run(items)) as results:
        for result in results:
            if result.state == "busy":
                busy.add(result.job)
            line.step(failed=result.state != "done")
    return busy


def _summary(plan: Plan, out: Path, unfinished: Mapping[str, str]) -> SweepSummary:
    errors = {job.id: read_error(job_folder(out, job.id)) for job in plan.jobs}
    failed = {name: error["message"] for name, error in errors.items() if error is not None}
    chosen, unfinished = tuple(read_selection(out)), dict(unfinished)
    for entry in chosen:
        for name in entry["runs"]:
            if not is_evaluated(job_folder(out, name), plan.scenarios):
                reason = failed.get(name, f"{name} is not evaluated")
                unfinished[f"{entry['method']} on {entry['dataset']}"] = reason
    return SweepSummary(out, plan, chosen, failed, unfinished)
