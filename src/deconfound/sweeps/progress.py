"""Progress of a sweep: a line with the time left while it runs, and the table of `deconfound sweep status`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deconfound.io.plain_text import plain_text, text_of_lines, unfiltered
from deconfound.runs.run_files import read_done
from deconfound.sweeps.jobs import STATES, job_folder, job_state, read_error, read_selection, read_sweep_json

FINISHED = ("done", "failed", "evaluated")


class Progress:
    """A line on standard error, rewritten after every job.

    Args:
        title: what is done, such as "train".
        total: number of jobs.
        shown: True to show the line; None shows it on a terminal only.
    """

    def __init__(self, title: str, total: int, shown: bool | None = None) -> None:
        self.title, self.total = title, total
        self.shown = sys.stderr.isatty() if shown is None else shown
        self.finished = self.failed = 0
        self.began = time.monotonic()

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.shown:
            print(file=sys.stderr, flush=True)

    def step(self, *, failed: bool = False) -> None:
        """Count a job that has ended."""
        self.finished += 1
        self.failed += failed
        self._show()

    def text(self) -> str:
        """ "train 3/12, 1 failed, about 4 min left"; the time is estimated from the jobs so far."""
        parts = [f"{self.title} {self.finished}/{self.total}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if 0 < self.finished < self.total:
            seconds_per_job = (time.monotonic() - self.began) / self.finished
            parts.append(f"about {duration(seconds_per_job * (self.total - self.finished))} left")
        return ", ".join(parts)

    def _show(self) -> None:
        if self.shown:
            print(f"\r\x1b[K{plain_text(self.text())}", end="", file=unfiltered(sys.stderr), flush=True)


def duration(seconds: float) -> str:
    """ "40 s", "7 min", "3 h 20 min" or "2 d 5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def sweep_status(out: str | Path) -> dict[str, Any]:
    """State of every job of a sweep, as JSON values; loads no PyTorch and writes nothing.

    Returns:
        "name", "rule", "oracle" and "budget" of the sweep; "selected", whether selection.json exists; "states": state →
        number of jobs; "later": number of final jobs of draws that are not known yet; "seconds_left": None while no job is
        finished; and "jobs": all judging jobs and the final jobs of draws that lead, each with id, dataset, method, draw,
        seed, left_out, final, state, epoch, epochs, chosen, seconds once trained, the message of a failure, and may_pass,
        whether another call may succeed.

    Raises:
        RunError: the folder is not a sweep.
    """
    out = Path(out)
    sweep = read_sweep_json(out)
    entries = read_selection(out)
    chosen = {name for entry in entries for name in entry["runs"]}
    leading = read_selection(out, "screening.json")
    wanted = chosen.union(*(entry["runs"] for entry in leading))
    all_jobs = [_job_status(job_folder(out, job["id"]), job, chosen) for job in sweep["jobs"]]
    jobs = [job for job in all_jobs if not job["final"] or job["state"] != "planned" or job["id"] in wanted]
    counts = Counter(job["state"] for job in jobs)
    later = _count_later(all_jobs, {(entry["dataset"], entry["method"]) for entry in [*entries, *leading]})
    rule = sweep["budget"]["rule"]
    return {
        "name": sweep["name"],
        "rule": rule,
        "oracle": rule == "oracle",
        "budget": sweep["budget"],
        "states": {state: counts.get(state, 0) for state in STATES},
        "selected": (out / "selection.json").is_file(),
        "later": later,
        "seconds_left": _seconds_left(jobs, later),
        "jobs": jobs,
    }


_JOB_FIELDS = ("id", "dataset", "method", "draw", "seed", "left_out")


def _job_status(folder: Path, job: Mapping[str, Any], chosen: Collection[str]) -> dict[str, Any]:
    """State of one job."""
    state, done = job_state(folder), read_done(folder)
    error = read_error(folder) if state == "failed" else None
    return {name: job[name] for name in _JOB_FIELDS} | {
        "final": job.get("final", False),
        "state": state,
        "epoch": epochs_trained(folder),
        "epochs": job["spec"]["train"]["epochs"],
        "chosen": job["id"] in chosen,
        "seconds": done["seconds"] if done is not None else None,
        "message": error["message"] if error else None,
        "may_pass": error.get("may_pass", True) if error else None,
    }


def _count_later(jobs: Sequence[Mapping[str, Any]], known: Collection[tuple[str, str]]) -> int:
    """Number of final jobs to come of pairs without a leading draw; every draw of a pair has the same number.

    A pair counts as 0 if it waits for the next call or if all its draws failed.
    """
    final_counts: dict[tuple[str, str], Counter[int]] = {}
    may_recover: dict[tuple[str, str], dict[int, bool]] = {}
    for job in jobs:
        pair = job["dataset"], job["method"]
        if job["final"] and pair not in known:
            final_counts.setdefault(pair, Counter())[job["draw"]] += 1
        elif job["may_pass"] is not None:
            may_recover.setdefault(pair, {}).setdefault(job["draw"], False)
            may_recover[pair][job["draw"]] |= job["may_pass"]
    stuck = {
        pair
        for pair, draws in may_recover.items()
        if any(draws.values()) or len(draws) == len(final_counts.get(pair, ()))
    }
    return sum(max(draws.values()) for pair, draws in final_counts.items() if pair not in stuck)


def _seconds_left(jobs: Sequence[dict[str, Any]], later: int) -> float | None:
    left = [1 - job["epoch"] / job["epochs"] for job in jobs if job["state"] not in FINISHED] + [1.0] * later
    if not left:
        return 0.0
    seconds = [job["seconds"] for job in jobs if job["seconds"] is not None]
    if not seconds:
        return None
    running = sum(job["state"] == "running" for job in jobs)
    return round(sum(left) * sum(seconds) / len(seconds) / max(1, running), 1)


def epochs_trained(folder: Path) -> int:
    """Number of epochs in log.csv, read from the end of the file."""
    try:
        with open(folder / "log.csv", "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().split(b"\n")[:-1]
        return int(lines[-1].split(b",")[1]) + 1
    except (OSError, ValueError, IndexError):
        return 0


def status_text(status: dict[str, Any]) -> str:
    """The status as a table with a line per method and dataset, then the running and the failed jobs."""
    oracle = " (chosen by TEST rows: a bound, not a result)" if status["oracle"] else ""
    left = status["seconds_left"]
    time_left = "" if left == 0 else f", about {duration(left)} left" if left else ", time left not known yet"
    finished = sum(status["states"][state] for state in FINISHED)
    total = len(status["jobs"]) + status["later"]
    head = f"{status['name']}: {finished}/{total} runs{time_left}; selection by {status['rule']}{oracle}"
    pairs = dict.fromkeys((job["dataset"], job["method"]) for job in status["jobs"])
    rows: list[tuple[str, ...]] = [("dataset", "method", *STATES)]
    for pair in pairs:
        counts = Counter(job["state"] for job in status["jobs"] if (job["dataset"], job["method"]) == pair)
        rows.append((*pair, *(str(counts[state] or "·") for state in STATES)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [head, *_stages(status), ""]
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        lines.append("  ".join([*names, *(c.rjust(w) for c, w in zip(row[2:], widths[2:], strict=True))]))
    running = [job for job in status["jobs"] if job["state"] in ("running", "stopped")]
    failed = [job for job in status["jobs"] if job["state"] == "failed"]
    lines += [""] * bool(running)
    lines += [f"{job['state']} {_title(job)}: epoch {job['epoch']} of {job['epochs']}" for job in running[:12]]
    lines += [f"… and {len(running) - 12} more"] * (len(running) > 12)
    lines += [""] * bool(failed) + [f"failed {_title(job)}: {job['message']}" for job in failed]
    return text_of_lines(lines)


def _stages(status: dict[str, Any]) -> list[str]:
    """The line on the two stages of a sweep, none for a sweep in one stage."""
    finals = [job for job in status["jobs"] if job["final"]]
    judging = [job for job in status["jobs"] if not job["final"]]
    if not finals and not status["later"]:
        return []
    done, more = (sum(job["state"] in FINISHED for job in jobs) for jobs in (judging, finals))
    return [
        f"judging the draws: {done}/{len(judging)}, then training the chosen: {more}/{len(finals) + status['later']}"
    ]


def _title(job: dict[str, Any]) -> str:
    without = f" without {job['left_out']}" if job["left_out"] else ""
    return f"{job['id']} {job['method']} on {job['dataset']}, draw {job['draw']}, seed {job['seed']}{without}"


def is_over(status: dict[str, Any]) -> bool:
    """True when nothing of a sweep can change any more without another call."""
    if status["later"] or any(job["state"] not in FINISHED for job in status["jobs"]):
        return False
    waiting = [job for job in status["jobs"] if job["chosen"] and job["state"] == "done"]
    return status["selected"] and not waiting
