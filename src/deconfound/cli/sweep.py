"""`deconfound sweep` and `deconfound sweep status`."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from deconfound.errors import RunError
from deconfound.io.plain_text import unfiltered

if TYPE_CHECKING:
    from deconfound.sweeps.spec import SweepSpec
    from deconfound.sweeps.sweep import SweepSummary


class _RunByDefault(TyperGroup):
    """Runs 'sweep SPEC …' as 'sweep run SPEC …'."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help="Train methods × datasets × seeds × draws, choose one draw per method by validation, and evaluate it.\n\n"
    "\b\n"
    "    deconfound sweep SPEC.toml --out DIR          all options: deconfound sweep run --help\n"
    "    deconfound sweep status DIR --watch\n\n"
    "The same command resumes after an interruption or a kill. Test rows are read only after the choice is written.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command("run")
def run(
    spec: Annotated[Path, typer.Argument(help="TOML file of the sweep.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep.")],
    executor: Annotated[
        str, typer.Option(help="serial, processes, ray, or the name of an installed executor.")
    ] = "serial",
    workers: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Jobs at once; default: as many as the cores allow.")
    ] = None,
    gpus: Annotated[
        float, typer.Option(min=0, max=1_000, help="GPUs per job on a Ray cluster; 0.25 runs four jobs on one GPU.")
    ] = 0.0,
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster, or 'auto'; default: start Ray here.")
    ] = None,
    print_commands: Annotated[
        bool, typer.Option("--print", help="Only print one command for each job that can be trained now.")
    ] = False,
    job: Annotated[str | None, typer.Option(help="Only train the job with this id, as --print lists it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a sweep, or the rest of it. Finished jobs are not run again.

    \b
        seeds = 3                     # or a list
        draws = 8                     # configurations per method; the first is the default
        [base.train]                  # also [base.backbone]: shared by all runs
        epochs = 30
        [[dataset]]
        name = "mosi"
        store = "stores/mosi"         # or: synthetic = {}
        [folds]                       # optional: each dataset once per fold, whose test is the part left out
        kind = "leave-one-group-out"  # or "k-fold", folds = 5
        group = "video"
        [[method]]
        name = "erm"
        [[method]]
        name = "cmir"
        arguments = {strength = 0.3}  # fixed; the other arguments are drawn from their search ranges
        [selection]
        rule = "valid"                # or worst-group, leave-one-environment-out; oracle uses test rows
        seeds = 2                     # these judge the draws; only the chosen draw is trained with all seeds

    \b
    serial     one job after another
    processes  several jobs at once on this machine: --workers 4
    ray        jobs on a Ray cluster (pip install 'deconfound[cluster]'): --address auto --gpus 0.25
    SLURM etc. run the commands that --print lists; then run this command to choose and evaluate
    """
    from deconfound.runs.spec import check_named_stores
    from deconfound.sweeps.execute import without_slurm
    from deconfound.sweeps.spec import SweepSpec

    check_named_stores(spec, "sweep")
    sweep = SweepSpec.read(spec)
    without_slurm()
    if print_commands:
        _print_commands(sweep, spec, out, as_json)
    elif job is not None:
        _run_job(sweep, out, job, as_json)
    else:
        from deconfound.sweeps.executors import Resources
        from deconfound.sweeps.sweep import run_sweep

        resources = Resources(workers=workers, gpus=gpus, address=address)
        _print_summary(run_sweep(sweep, out, executor=executor, resources=resources), as_json)


@app.command("status")
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")],
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until the sweep is over.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds between two refreshes.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a sweep: jobs by state, epochs of running jobs, errors of failed jobs, and the time left.

    \b
    planned    not started
    running    a process works on the job
    stopped    interrupted; the next call resumes the job
    done       trained
    failed     ended with an error; the next call tries again (traceback: DIR/runs/ID/error.json)
    evaluated  chosen, with predictions of the test rows
    """
    from deconfound.sweeps.progress import is_over, status_text, sweep_status

    while True:
        progress = sweep_status(folder)
        if watch and sys.stdout.isatty():
            unfiltered(sys.stdout).write("\x1b[H\x1b[J")
        print(json.dumps(progress) if as_json else status_text(progress), flush=True)
        if not watch or is_over(progress):
            return
        time.sleep(every)


def _print_commands(sweep: SweepSpec, spec: Path, out: Path, as_json: bool) -> None:
    from deconfound.sweeps.sweep import pending_jobs

    jobs, later = pending_jobs(sweep, out)
    lines = [shlex.join(["deconfound", "sweep", str(spec), "--out", str(out), "--job", job.id]) for job in jobs]
    if as_json:
        print(json.dumps(lines))
    elif lines:
        print("\n".join(lines))
    if later:
        print(
            f"these {len(lines)} jobs judge the draws; once they are done, --print lists {later} more, for the chosen draws",
            file=sys.stderr,
        )


def _run_job(sweep: SweepSpec, out: Path, job: str, as_json: bool) -> None:
    from deconfound.sweeps.sweep import run_job_by_name

    result = run_job_by_name(sweep, out, job)
    if result.state != "done":
        raise RunError(f"the job {job} did not finish: {result.error}")
    print(json.dumps({"job": job, "run": str(out / "runs" / job)}) if as_json else f"{out / 'runs' / job}: done")


def _print_summary(summary: SweepSummary, as_json: bool) -> None:
    """Print the chosen configurations.

    Raises:
        RunError: something is left to do.
    """
    if as_json:
        print(
            json.dumps(
                {
                    "sweep": str(summary.out),
                    "rule": summary.plan.spec.selection.rule,
                    "budget": summary.plan.budget,
                    "chosen": list(summary.chosen),
                    "runs": [str(run) for run in summary.runs],
                    "skipped": summary.plan.skipped,
                    "failed": dict(summary.failed),
                    "open": dict(summary.unfinished),
                }
            )
        )
    else:
        print(summary.text())
    if summary.unfinished:
        pair, reason = next(iter(summary.unfinished.items()))
        more = f" and {len(summary.unfinished) - 1} more" if len(summary.unfinished) > 1 else ""
        raise RunError(
            f"{pair}{more} could not be finished: {reason}; 'deconfound sweep status {summary.out}' lists the "
            "failed jobs, and the same command tries again"
        )
