"""Choosing the runs of a sweep: from the records of their folders to selection.json. No test row is read but by the oracle.

Draws are judged by the runs of the screening seeds, or of left-out environments. The final runs, which judge nothing, are
trained for the draw that leads alone. What is next is told from the folders each time, so a kill at any moment costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from deconfound.data.splits import DEVELOPMENT
from deconfound.evaluation.records import Record, read_records
from deconfound.evaluation.selection import Candidate, Selection, select
from deconfound.io.files import atomic_write
from deconfound.runs.spec import flat
from deconfound.sweeps.jobs import Job, evaluated, failure, read_selection, trained
from deconfound.sweeps.plan import Plan, config_of


@dataclass(frozen=True)
class Standing:
    """How the choice of one method on one dataset stands.

    Args:
        selection: among the draws that can still be trained to the end; None while a run that judges is missing.
        finals: runs of the chosen draw that judge no draw.
        reason: why the choice cannot be written yet, "" where it can.
    """

    selection: Selection | None
    finals: tuple[Job, ...]
    reason: str


def choose(plan: Plan, out: Path, busy: Collection[str] = ()) -> dict[str, str]:
    """Choose a configuration of every method on every dataset whose runs are all finished or failed for good.

    Returns:
        "method on dataset" → why nothing is chosen.
    """
    chosen, still_open, pairs = read_selection(out), {}, plan.pairs
    for pair, standing in _standings(plan, out, busy).items():
        if standing.selection is not None and not standing.reason:
            chosen.append(_entry(pair, pairs[pair], standing.selection))
        else:
            still_open[f"{pair[1]} on {pair[0]}"] = standing.reason
    _write(plan, out / "selection.json", chosen)
    return still_open


def next_jobs(plan: Plan, out: Path, busy: Collection[str] = ()) -> list[Job]:
    """The jobs to train next: all that judge, those that failed, and the final ones of each draw that leads.

    Where a final run fails for good its draw cannot be chosen, and the next best one leads. Writes screening.json, from
    which `sweep_status` tells which final runs are wanted.
    """
    wanted, leading, pairs = [], [], plan.pairs
    for pair, standing in _standings(plan, out, busy).items():
        jobs, names = pairs[pair], {job.id for job in standing.finals}
        wanted += [job for job in jobs if not job.final or job.id in names or failure(_folder(out, job))]
        if standing.selection is not None and names:
            leading.append(_entry(pair, jobs, standing.selection))
    if any(job.final for job in plan.jobs):
        _write(plan, out / "screening.json", leading)
    return [job for job in wanted if not trained(_folder(out, job))]


def _write(plan: Plan, path: Path, chosen: Sequence[Mapping[str, Any]]) -> None:
    rule = plan.spec.selection.rule
    note = "chosen by TEST rows: a bound, not a result" if rule == "oracle" else "chosen blind"
    with atomic_write(path) as file:
        json.dump({"rule": rule, "note": note, "budget": plan.budget, "chosen": chosen}, file, indent=1)


def _standings(plan: Plan, out: Path, busy: Collection[str]) -> dict[tuple[str, str], Standing]:
    """Of every pair (dataset, method) whose choice is not written."""
    fixed = {(entry["dataset"], entry["method"]) for entry in read_selection(out)}
    return {pair: _standing(plan, jobs, out, busy) for pair, jobs in plan.pairs.items() if pair not in fixed}


def _standing(plan: Plan, jobs: Sequence[Job], out: Path, busy: Collection[str]) -> Standing:
    rule = plan.spec.selection.rule
    judging = [job for job in jobs if not job.final]
    evaluate = plan.scenarios if rule == "oracle" else False
    reason = _unfinished(judging, out, busy, evaluate)
    if reason:
        return Standing(None, (), reason)
    broken = _broken(judging, out, evaluate) | _broken([job for job in jobs if job.final], out, False)
    selection = select(_candidates(judging, out, broken, oracle=rule == "oracle"), rule)
    ranking = tuple(replace(each, reason=broken.get(each.config, each.reason)) for each in selection.ranking)
    selection = replace(selection, ranking=ranking)
    if selection.chosen is None:
        return Standing(None, (), _first_failure(jobs, out) or ranking[0].reason)
    finals = tuple(job for job in jobs if job.final and config_of(job) == selection.chosen)
    return Standing(selection, finals, _unfinished(finals, out, busy, False))


Evaluated = tuple[Mapping[str, Any], ...] | None | Literal[False]
"""Scenarios that a run must have been evaluated on, None for the default ones; False if it need not be."""


def _finished(job: Job, out: Path, scenarios: Evaluated) -> bool:
    folder = _folder(out, job)
    return trained(folder) and (scenarios is False or evaluated(folder, scenarios))


def _unfinished(jobs: Sequence[Job], out: Path, busy: Collection[str], scenarios: Evaluated) -> str:
    """Why a pair must wait: a job of it may still be finished by another call; "" if none can."""
    for job in jobs:
        if _finished(job, out, scenarios):
            continue
        error = failure(_folder(out, job))
        if job.id in busy:
            return f"another process works on the job {job.id}"
        if error is None or error.get("may_pass", True):
            return f"the job {job.id} is not finished" + (f" ({error['message']})" if error else "")
    return ""


def _broken(jobs: Sequence[Job], out: Path, scenarios: Evaluated) -> dict[str, str]:
    """Configuration → why it cannot be chosen: a run of it failed for good."""
    found: dict[str, str] = {}
    for job in jobs:
        error = None if _finished(job, out, scenarios) else failure(_folder(out, job))
        if error is not None and not error.get("may_pass", True):
            where = f" without {job.left_out}" if job.left_out else ""
            found.setdefault(config_of(job), f"seed {job.seed}{where} failed: {error['message']}")
    return found


def _first_failure(jobs: Sequence[Job], out: Path) -> str:
    errors = [failure(_folder(out, job)) for job in jobs]
    return next((error["message"] for error in errors if error is not None), "")


def _folder(out: Path, job: Job) -> Path:
    return out / "runs" / job.id


def _candidates(jobs: Sequence[Job], out: Path, broken: Collection[str], *, oracle: bool) -> list[Candidate]:
    """What selection may look at: validation records alone, unless the sweep says oracle."""
    found = []
    for job in jobs:
        config = config_of(job)
        records = () if config in broken else _records(_folder(out, job), oracle)
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
        for name, value in flat(job.spec[table]).items()
        if value != flat(default.spec[table])[name]
    ]
    return f"{job.method}: {', '.join(changes) or 'default'}"


def _entry(pair: tuple[str, str], jobs: Sequence[Job], selection: Selection) -> dict[str, Any]:
    """One line of selection.json, or of screening.json: "seeds" and "runs" are those of the chosen draw on all rows."""
    draws = {config_of(job): job.draw for job in jobs}
    (winner,) = [ranked for ranked in selection.ranking if ranked.config == selection.chosen]
    runs = [job for job in jobs if config_of(job) == winner.config and job.left_out is None]
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
        "seeds": [job.seed for job in runs],
        "runs": [job.id for job in runs],
        "candidates": [
            {
                **asdict(ranked),
                "draw": draws[ranked.config],
                "runs": [job.id for job in jobs if config_of(job) == ranked.config and not job.final],
            }
            for ranked in selection.ranking
        ],
    }
