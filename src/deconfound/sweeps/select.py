"""Choose the runs of a sweep: read the records of their folders and write selection.json.

Only the rule "oracle" reads test rows. Draws are judged by the runs of the judging seeds or of left-out environments. Final
runs judge no draw and are trained only for the draw that leads. The next jobs are read from the folders each time, so a kill
at any moment costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from deconfound.data.splits import DEVELOPMENT
from deconfound.evaluation.records import Record, read_records
from deconfound.evaluation.selection import Candidate, Selection, select
from deconfound.io.files import write_json
from deconfound.runs.run_files import read_done
from deconfound.runs.spec import flat
from deconfound.sweeps.jobs import Job, is_evaluated, is_trained, job_folder, read_error, read_selection
from deconfound.sweeps.plan import Plan, config_of


@dataclass(frozen=True)
class SelectionState:
    """How far the choice for one method on one dataset is.

    Args:
        selection: the selection among the draws that can be trained to the end; None while a judging run is missing.
        final_jobs: final jobs of the chosen draw.
        reason: why the choice cannot be written yet; "" if it can.
    """

    selection: Selection | None
    final_jobs: tuple[Job, ...]
    reason: str


def choose(plan: Plan, out: Path, busy: Collection[str] = ()) -> dict[str, str]:
    """Choose a configuration for every method and dataset whose runs have all finished or failed for good.

    Returns:
        "method on dataset" → why nothing is chosen yet.
    """
    chosen, unfinished, pairs = read_selection(out), {}, plan.pairs
    for pair, state in _selection_states(plan, out, busy).items():
        if state.selection is not None and not state.reason:
            chosen.append(_entry(pair, pairs[pair], state.selection))
        else:
            unfinished[f"{pair[1]} on {pair[0]}"] = state.reason
    _write(plan, out / "selection.json", chosen)
    return unfinished


def next_jobs(plan: Plan, out: Path, busy: Collection[str] = ()) -> list[Job]:
    """The jobs to train next: all judging jobs, all failed jobs, and the final jobs of each draw that leads.

    If a final job fails for good, its draw cannot be chosen and the next best draw leads. Writes screening.json, which
    tells `sweep_status` which final jobs will be trained.
    """
    wanted, leading, pairs = [], [], plan.pairs
    for pair, state in _selection_states(plan, out, busy).items():
        jobs, final_ids = pairs[pair], {job.id for job in state.final_jobs}
        wanted += [job for job in jobs if not job.final or job.id in final_ids or read_error(job_folder(out, job.id))]
        if state.selection is not None and final_ids:
            leading.append(_entry(pair, jobs, state.selection))
    if any(job.final for job in plan.jobs):
        _write(plan, out / "screening.json", leading)
    return [job for job in wanted if not is_trained(job_folder(out, job.id))]


def _write(plan: Plan, path: Path, chosen: Sequence[Mapping[str, Any]]) -> None:
    rule = plan.spec.selection.rule
    note = "chosen by TEST rows: a bound, not a result" if rule == "oracle" else "chosen blind"
    write_json(
        path, {"rule": rule, "criterion": plan.spec.criterion, "note": note, "budget": plan.budget, "chosen": chosen}
    )


def _selection_states(plan: Plan, out: Path, busy: Collection[str]) -> dict[tuple[str, str], SelectionState]:
    """(dataset, method) → state, for every pair whose choice is not written yet."""
    written = {(entry["dataset"], entry["method"]) for entry in read_selection(out)}
    return {pair: _selection_state(plan, jobs, out, busy) for pair, jobs in plan.pairs.items() if pair not in written}


def _selection_state(plan: Plan, jobs: Sequence[Job], out: Path, busy: Collection[str]) -> SelectionState:
    rule = plan.spec.selection.rule
    judging = [job for job in jobs if not job.final]
    scenarios = plan.scenarios if rule == "oracle" else False
    reason = _unfinished(judging, out, busy, scenarios)
    if reason:
        return SelectionState(None, (), reason)
    broken = _broken(judging, out, scenarios) | _broken([job for job in jobs if job.final], out, False)
    selection = select(_candidates(plan, judging, out, broken), rule, plan.spec.criterion)
    ranking = tuple(replace(ranked, reason=broken.get(ranked.config, ranked.reason)) for ranked in selection.ranking)
    selection = replace(selection, ranking=ranking)
    if selection.chosen is None:
        return SelectionState(None, (), _first_failure(jobs, out) or ranking[0].reason)
    final_jobs = tuple(job for job in jobs if job.final and config_of(job) == selection.chosen)
    return SelectionState(selection, final_jobs, _unfinished(final_jobs, out, busy, False))


RequiredScenarios = tuple[Mapping[str, Any], ...] | None | Literal[False]
"""Scenarios that a run must have been evaluated on; None for the default scenarios, False for no evaluation."""


def _finished(job: Job, out: Path, scenarios: RequiredScenarios) -> bool:
    folder = job_folder(out, job.id)
    return is_trained(folder) and (scenarios is False or is_evaluated(folder, scenarios))


def _unfinished(jobs: Sequence[Job], out: Path, busy: Collection[str], scenarios: RequiredScenarios) -> str:
    """Why a pair must wait for a job that another call may still finish; "" if it need not wait."""
    for job in jobs:
        if _finished(job, out, scenarios):
            continue
        error = read_error(job_folder(out, job.id))
        if job.id in busy:
            return f"another process works on the job {job.id}"
        if error is None or error.get("may_pass", True):
            return f"the job {job.id} is not finished" + (f" ({error['message']})" if error else "")
    return ""


def _broken(jobs: Sequence[Job], out: Path, scenarios: RequiredScenarios) -> dict[str, str]:
    """Configuration → why it cannot be chosen: one of its runs failed for good."""
    reasons: dict[str, str] = {}
    for job in jobs:
        error = None if _finished(job, out, scenarios) else read_error(job_folder(out, job.id))
        if error is not None and not error.get("may_pass", True):
            where = f" without {job.left_out}" if job.left_out else ""
            reasons.setdefault(config_of(job), f"seed {job.seed}{where} failed: {error['message']}")
    return reasons


def _first_failure(jobs: Sequence[Job], out: Path) -> str:
    errors = [read_error(job_folder(out, job.id)) for job in jobs]
    return next((error["message"] for error in errors if error is not None), "")


def _candidates(plan: Plan, jobs: Sequence[Job], out: Path, broken: Collection[str]) -> list[Candidate]:
    """What selection may read: validation records only, unless the rule is "oracle", and validation scores."""
    candidates = []
    for job in jobs:
        config, folder = config_of(job), job_folder(out, job.id)
        records = () if config in broken else _records(folder, plan.spec.selection.rule == "oracle")
        score = None if config in broken or plan.spec.criterion == "metric" else (read_done(folder) or {}).get("score")
        candidates.append(Candidate(config, _key(job, jobs[0]), job.seed, records, job.left_out, score))
    return candidates


def _records(folder: Path, oracle: bool) -> tuple[Record, ...]:
    records = read_records(folder / "records.jsonl")
    return tuple(record for record in records if oracle or record.split in DEVELOPMENT)


def _key(job: Job, default: Job) -> str:
    """A readable name of the configuration: the values that differ from the default."""
    changes = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for table in ("method", "backbone", "train")
        for name, value in flat(job.spec[table]).items()
        if value != flat(default.spec[table])[name]
    ]
    return f"{job.method}: {', '.join(changes) or 'default'}"


def _entry(pair: tuple[str, str], jobs: Sequence[Job], selection: Selection) -> dict[str, Any]:
    """An entry of selection.json or screening.json; "seeds" and "runs" are those of the chosen draw without left-out rows."""
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
