"""Where a sweep is: a line with the time left while it works, and the table of `deconfound sweep status`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deconfound.sweeps.jobs import STATES, failure, job_state, read_selection, read_sweep_json

FINISHED = ("done", "failed", "evaluated")


class Progress:
    """One line on standard error, rewritten after every job; nothing where it is not a terminal.

    Args:
        what: is being done.
        total: jobs.
        shown: None for terminals only.
    """

    def __init__(self, what: str, total: int, shown: bool | None = None) -> None:
        self.what, self.total = what, total
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
        """One more job has ended."""
        self.finished += 1
        self.failed += failed
        self._show()

    def text(self) -> str:
        """ "train 3/12, 1 failed, about 4 min left"; the time as long as the jobs so far took per job."""
        parts = [f"{self.what} {self.finished}/{self.total}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if 0 < self.finished < self.total:
            each = (time.monotonic() - self.began) / self.finished
            parts.append(f"about {duration(each * (self.total - self.finished))} left")
        return ", ".join(parts)

    def _show(self) -> None:
        if self.shown:
            print(f"\r\x1b[K{self.text()}", end="", file=sys.stderr, flush=True)


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
    """How far every job of a sweep is, as JSON values; loads no PyTorch and writes nothing.

    Returns:
        name, rule, oracle, budget; jobs: one each with id, dataset, method, draw, seed, left_out, final, state, epoch, epochs,
        chosen, seconds once trained, and the message of a failure and whether it may pass, of all that judge and of the
        final ones of draws that lead; later: final runs of draws that are not known yet; states: state → number of jobs;
        seconds_left: None while nothing is finished.

    Raises:
        RunError: not a sweep.
    """
    out = Path(out)
    sweep = read_sweep_json(out)
    entries = read_selection(out)
    chosen = {name for entry in entries for name in entry["runs"]}
    leading = read_selection(out, "screening.json")
    wanted = chosen.union(*(entry["runs"] for entry in leading))
    every = [_about(out / "runs" / job["id"], job, chosen) for job in sweep["jobs"]]
    jobs = [job for job in every if not job["final"] or job["state"] != "planned" or job["id"] in wanted]
    counts = Counter(job["state"] for job in jobs)
    later = _later(every, {(entry["dataset"], entry["method"]) for entry in [*entries, *leading]})
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


_SHOWN = ("id", "dataset", "method", "draw", "seed", "left_out")


def _about(folder: Path, job: Mapping[str, Any], chosen: Collection[str]) -> dict[str, Any]:
    """How far one job is."""
    state, done = job_state(folder), folder / "done.json"
    error = failure(folder) if state == "failed" else None
    return {name: job[name] for name in _SHOWN} | {
        "final": job.get("final", False),
        "state": state,
        "epoch": epochs_trained(folder),
        "epochs": job["spec"]["train"]["epochs"],
        "chosen": job["id"] in chosen,
        "seconds": json.loads(done.read_text(encoding="utf-8"))["seconds"] if done.is_file() else None,
        "message": error["message"] if error else None,
        "may_pass": error.get("may_pass", True) if error else None,
    }


def _later(jobs: Sequence[Mapping[str, Any]], known: Collection[tuple[str, str]]) -> int:
    """How many final runs there will be of draws that do not lead yet; as many for each draw of a pair.

    None of a pair that waits for the next call, or whose draws failed one and all.
    """
    finals: dict[tuple[str, str], Counter[int]] = {}
    lost: dict[tuple[str, str], dict[int, bool]] = {}
    for job in jobs:
        pair = job["dataset"], job["method"]
        if job["final"] and pair not in known:
            finals.setdefault(pair, Counter())[job["draw"]] += 1
        elif job["may_pass"] is not None:
            lost.setdefault(pair, {})[job["draw"]] = job["may_pass"] or lost.get(pair, {}).get(job["draw"], False)
    stuck = {pair for pair, draws in lost.items() if any(draws.values()) or len(draws) == len(finals.get(pair, ()))}
    return sum(max(draws.values()) for pair, draws in finals.items() if pair not in stuck)


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
    """Epochs of which the log holds a line, from its end alone."""
    try:
        with open(folder / "log.csv", "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().split(b"\n")[:-1]
        return int(lines[-1].split(b",")[1]) + 1
    except (OSError, ValueError, IndexError):
        return 0


def status_text(status: dict[str, Any]) -> str:
    """The table: one line per method and dataset, then what is running and what failed."""
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
    return "\n".join(lines)


def _stages(status: dict[str, Any]) -> list[str]:
    """A line for a sweep in two stages."""
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


def over(status: dict[str, Any]) -> bool:
    """True when a sweep has nothing left that could change by itself."""
    if status["later"] or any(job["state"] not in FINISHED for job in status["jobs"]):
        return False
    waiting = [job for job in status["jobs"] if job["chosen"] and job["state"] == "done"]
    return status["selected"] and not waiting
