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

if TYPE_CHECKING:
    from deconfound.sweeps.sweep import Summary


class _RunByDefault(TyperGroup):
    """'sweep SPEC …' is 'sweep run SPEC …'."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help="Train methods × datasets × seeds × draws, choose by validation, then evaluate what was chosen.\n\n"
    "\b\n"
    "    deconfound sweep SPEC.toml --out DIR          all options: deconfound sweep run --help\n"
    "    deconfound sweep status DIR --watch\n\n"
    "The same call goes on after an interruption or a kill. Test rows are opened only after the choice is written.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command("run")
def run(
    spec: Annotated[Path, typer.Argument(help="The sweep, a TOML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep.")],
    executor: Annotated[str, typer.Option(help="serial, processes, ray, or one of another package.")] = "serial",
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs at once; by default what the cores allow.")] = None,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of a job on a Ray cluster; 0.25 shares one.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster, or 'auto'; else one is started here.")] = None,
    print_commands: Annotated[
        bool, typer.Option("--print", help="Only list one command per job that can be trained now.")
    ] = False,
    job: Annotated[str | None, typer.Option(help="Only train the job with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a sweep, or what is left of it.

    \b
        seeds = 3                     # or a list
        draws = 8                     # configurations per method; the first is the default
        [base.train]                  # also [base.backbone]: shared by all runs
        epochs = 30
        [[dataset]]
        name = "mosi"
        store = "stores/mosi"         # or: synthetic = {}
        [[method]]
        name = "erm"
        [[method]]
        name = "cmir"
        arguments = {strength = 0.3}  # kept; the others are drawn from their tuning ranges
        [selection]
        rule = "valid"                # worst-group, leave-one-environment-out; oracle peeks at test rows
        seeds = 2                     # judge the draws; the other seeds are trained for the chosen draw alone

    \b
    serial     one job after the other
    processes  several at once on this machine: --workers 4
    ray        on a cluster (pip install 'deconfound[cluster]'): --address auto --gpus 0.25
    any other  --print lists the commands; afterwards this command chooses and evaluates
    """
    from deconfound.sweeps.execute import without_slurm
    from deconfound.sweeps.spec import SweepSpec

    wanted = SweepSpec.read(spec)
    without_slurm()
    if print_commands:
        _print_commands(wanted, spec, out, as_json)
    elif job is not None:
        _run_job(wanted, out, job, as_json)
    else:
        from deconfound.sweeps.executors import Resources
        from deconfound.sweeps.sweep import run_sweep

        resources = Resources(workers=workers, gpus=gpus, address=address)
        _tell(run_sweep(wanted, out, executor=executor, resources=resources), as_json)


@app.command("status")
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the sweep is over.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show how far a sweep is: jobs by state, epochs of the running ones, errors of the failed ones, time left.

    \b
    planned    not begun
    running    a process works on it
    stopped    interrupted; the next call resumes it
    done       trained
    failed     with its error; the next call tries again (all of it: DIR/runs/ID/error.json)
    evaluated  chosen, and its test rows predicted
    """
    from deconfound.sweeps.progress import over, status_text, sweep_status

    while True:
        found = sweep_status(folder)
        clear = "\x1b[H\x1b[J" if watch and sys.stdout.isatty() else ""
        print(clear + (json.dumps(found) if as_json else status_text(found)), flush=True)
        if not watch or over(found):
            return
        time.sleep(every)


def _print_commands(wanted: Any, spec: Path, out: Path, as_json: bool) -> None:
    from deconfound.sweeps.sweep import left

    now, later = left(wanted, out)
    lines = [shlex.join(["deconfound", "sweep", str(spec), "--out", str(out), "--job", job.id]) for job in now]
    if as_json:
        print(json.dumps(lines))
    elif lines:
        print("\n".join(lines))
    if later:
        print(
            f"these {len(lines)} judge the draws; once they are done, --print lists {later} more, of the chosen draws",
            file=sys.stderr,
        )


def _run_job(wanted: Any, out: Path, job: str, as_json: bool) -> None:
    from deconfound.sweeps.sweep import run_job_by_name

    outcome = run_job_by_name(wanted, out, job)
    if outcome.ended != "done":
        raise RunError(f"the job {job} did not finish: {outcome.message}")
    print(json.dumps({"job": job, "run": str(out / "runs" / job)}) if as_json else f"{out / 'runs' / job}: done")


def _tell(summary: Summary, as_json: bool) -> None:
    """Print what was chosen; an error if something is left to do."""
    if as_json:
        print(
            json.dumps(
                {
                    "sweep": str(summary.out),
                    "rule": summary.plan.spec.selection.rule,
                    "budget": summary.plan.budget,
                    "chosen": list(summary.chosen),
                    "runs": [str(run) for run in summary.runs],
                    "failed": dict(summary.failed),
                    "open": dict(summary.open),
                }
            )
        )
    else:
        print(summary.text())
    if summary.open:
        pair, reason = next(iter(summary.open.items()))
        more = f" and {len(summary.open) - 1} more" if len(summary.open) > 1 else ""
        raise RunError(
            f"{pair}{more} could not be finished: {reason}; 'deconfound sweep status {summary.out}' lists what "
            "failed, the same call tries again"
        )
