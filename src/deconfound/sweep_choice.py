"""Choosing the runs of a sweep: from the records of their folders to selection.json. No test row is read but by the oracle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deconfound.dataset import DEVELOPMENT
from deconfound.files import whole_file
from deconfound.jobs import Job, failure, read_selection, trained
from deconfound.records import Record, read_records
from deconfound.selection import Candidate, Selection, select
from deconfound.sweep_plan import Plan, config_of


def choose(plan: Plan, out: Path, busy: set[str]) -> dict[str, str]:
    """Choose a configuration of every method on every dataset whose runs are all finished or failed for good.

    Returns:
        "method on dataset" → why nothing is chosen.
    """
    chosen, still_open = read_selection(out), {}
    fixed = {(entry["dataset"], entry["method"]) for entry in chosen}
    for pair, jobs in plan.pairs.items():
        if pair in fixed:
            continue
        reason = _unfinished(jobs, out, busy)
        if not reason:
            selection = select(_candidates(plan, jobs, out), plan.spec.selection.rule)
            if selection.chosen is not None:
                chosen.append(_entry(pair, jobs, selection))
                continue
            reason = _first_failure(jobs, out) or selection.ranking[0].reason
        still_open[f"{pair[1]} on {pair[0]}"] = reason
    note = "chosen by TEST rows: a bound, not a result" if plan.spec.selection.rule == "oracle" else "chosen blind"
    with whole_file(out / "selection.json") as file:
        json.dump(
            {"rule": plan.spec.selection.rule, "note": note, "budget": plan.budget, "chosen": chosen}, file, indent=1
        )
    return still_open


def _unfinished(jobs: Sequence[Job], out: Path, busy: set[str]) -> str:
    """Why a pair must wait: a job of it may still be finished by another call; "" if none can."""
    for job in jobs:
        if trained(out / "runs" / job.id):
            continue
        error = failure(out / "runs" / job.id)
        if job.id in busy:
            return f"another process works on the job {job.id}"
        if error is None or error.get("may_pass", True):
            return f"the job {job.id} is not finished" + (f" ({error['message']})" if error else "")
    return ""


def _first_failure(jobs: Sequence[Job], out: Path) -> str:
    errors = [failure(out / "runs" / job.id) for job in jobs]
    return next((error["message"] for error in errors if error is not None), "")


def _candidates(plan: Plan, jobs: Sequence[Job], out: Path) -> list[Candidate]:
    """What selection may look at: validation records alone, unless the sweep says oracle."""
    oracle = plan.spec.selection.rule == "oracle"
    broken = {config_of(job) for job in jobs if not trained(out / "runs" / job.id)}
    found = []
    for job in jobs:
        config, records = config_of(job), ()
        if config not in broken:
            records = _records(out / "runs" / job.id, oracle)
        found.append(Candidate(config, _key(job, jobs[0]), job.seed, records, job.left_out))
    return found


def _records(folder: Path, oracle: bool) -> tuple[Record, ...]:
    records = read_records(folder / "records.jsonl")
    return tuple(record for record in records if oracle or record.split in DEVELOPMENT)


def _key(job: Job, default: Job) -> str:
    """The configuration for a reader: what differs from the default."""
    changes = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for table in ("method", "backbone", "train")
        for name, value in job.spec[table].items()
        if value != default.spec[table][name]
    ]
    return f"{job.method}: {', '.join(changes) or 'default'}"


def _entry(pair: tuple[str, str], jobs: Sequence[Job], selection: Selection) -> dict[str, Any]:
    """One line of selection.json."""
    draws = {config_of(job): job.draw for job in jobs}
    (winner,) = [ranked for ranked in selection.ranking if ranked.config == selection.chosen]
    return {
        "dataset": pair[0],
        "method": pair[1],
        "rule": selection.rule,
        "draw": draws[winner.config],
        "config": winner.config,
        "key": winner.key,
        "protocol": selection.protocol,
        "metric": selection.metric,
        "score": winner.score,
        "runs": [job.id for job in jobs if config_of(job) == winner.config and job.left_out is None],
        "candidates": [
            {
                **asdict(ranked),
                "draw": draws[ranked.config],
                "runs": [job.id for job in jobs if config_of(job) == ranked.config],
            }
            for ranked in selection.ranking
        ],
    }
