"""From a sweep to its jobs: hyper-parameter draws, left-out environments, ids. Everything is checked before any training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.splits import LEFT_OUT
from deconfound.errors import DataError, DeconfoundError, RunError, SpecError, did_you_mean
from deconfound.evaluation.scenario import Scenario, needed_modalities, scenario_from
from deconfound.io.files import write_json
from deconfound.io.plain_text import text_of_lines
from deconfound.io.python_file import names_file
from deconfound.runs.build import apply_data_spec, build_method, completed, load_data
from deconfound.runs.spec import Spec
from deconfound.sweeps.draws import draw_values
from deconfound.sweeps.fold_entries import fold_entries, folds_text
from deconfound.sweeps.jobs import Job, digest, job_id, read_sweep_json
from deconfound.sweeps.spec import DatasetEntry, MethodEntry, SweepSpec

ORACLE = " [oracle]"
"""Added to the label of every method that is selected on test rows, so that its records say so wherever they go."""


@dataclass(frozen=True)
class Plan:
    """A sweep and its jobs.

    Args:
        spec: specification of the sweep.
        jobs: all jobs without duplicates. A draw that equals an earlier one, as for a method without a search space, adds
            none. Final jobs are listed for every draw and are trained for the chosen draw only.
    """

    spec: SweepSpec
    jobs: tuple[Job, ...]

    @property
    def scenarios(self) -> tuple[Mapping[str, Any], ...] | None:
        """[[scenario]] tables, None for the default scenarios."""
        return self.spec.evaluation.tables

    @property
    def pairs(self) -> dict[tuple[str, str], tuple[Job, ...]]:
        """(dataset, method) → jobs, in the order of the plan."""
        jobs_of: dict[tuple[str, str], list[Job]] = {}
        for job in self.jobs:
            jobs_of.setdefault((job.dataset, job.method), []).append(job)
        return {pair: tuple(jobs) for pair, jobs in jobs_of.items()}

    @property
    def skipped(self) -> dict[str, list[str]]:
        """ "METHOD on DATASET" → names of the scenarios that need a modality which the method does not use there."""
        scenarios = [scenario_from(table) for table in self.scenarios or ()]
        names_of: dict[str, list[str]] = {}
        for (dataset, method), jobs in self.pairs.items():
            used = jobs[0].spec["data"]["modalities"]
            names = [s.name for s in scenarios if used is not None and needed_modalities(s) - {*used}]
            if names:
                names_of[f"{method} on {dataset}"] = names
        return names_of

    @property
    def budget(self) -> dict[str, Any]:
        """Draws, seeds and runs that every method gets, and the number of different configurations that result."""
        return {
            "draws": self.spec.configurations,
            "seeds": len(self.spec.seeds),
            "judging_seeds": len(self.spec.judging_seeds),
            "rule": self.spec.selection.rule,
            "runs": sum(not job.final for job in self.jobs) + sum(map(count_final_jobs, self.pairs.values())),
            "configurations": {
                f"{method} on {dataset}": len({job.draw for job in jobs})
                for (dataset, method), jobs in self.pairs.items()
            },
        }

    def budget_text(self) -> str:
        """The budget in a line, and one more for each method that had less to draw than it was given."""
        budget = self.budget
        judging = f"{budget['judging_seeds']} seeds"
        final = f", then {budget['seeds']} seeds of the chosen one"
        if budget["rule"] in LEFT_OUT:
            judging = f"{judging} per left-out environment"
        elif budget["judging_seeds"] == budget["seeds"]:
            final = ""
        lines = [
            *folds_text(self.spec, tuple({job.dataset: None for job in self.jobs})),
            f"budget: {budget['draws']} configurations × {judging} for each method on each dataset{final}; "
            f"{budget['runs']} runs; selection by {budget['rule']!r}",
        ]
        for pair, count in budget["configurations"].items():
            if count < budget["draws"]:
                lines.append(f"  {pair}: {count} of {budget['draws']} draws differ (its search ranges hold no more)")
        return text_of_lines(lines)

    def write(self, out: Path) -> None:
        """Write sweep.json."""
        values = {
            "name": self.spec.name,
            "spec": self.spec.model_dump(mode="json"),
            "budget": self.budget,
            "jobs": [asdict(job) for job in self.jobs],
        }
        write_json(out / "sweep.json", values)


def count_final_jobs(jobs: Sequence[Job]) -> int:
    """Number of final jobs of one draw of a method on a dataset; it is the same for every draw."""
    return sum(job.final for job in jobs if job.draw == jobs[0].draw)


def read_plan(out: Path) -> Plan:
    """Read the sweep.json that `Plan.write` wrote.

    Raises:
        RunError: the folder is not a sweep, or its sweep.json is damaged.
    """
    values = read_sweep_json(out)
    try:
        return Plan(SweepSpec.of(values["spec"], run_code=False), tuple(Job(**job) for job in values["jobs"]))
    except (KeyError, TypeError, SpecError) as error:
        raise RunError(
            f"the sweep {out} is damaged ({error}); call 'deconfound sweep SPEC --out {out}' again"
        ) from error


def make_plan(spec: SweepSpec) -> Plan:
    """All jobs of a sweep.

    Raises:
        SpecError, DataError, StoreError: an unknown name, argument, modality, environment, split or search range; a dataset
            without training or validation rows; a rule that needs environments on a dataset without them.
    """
    jobs: dict[str, Job] = {}
    for entry in fold_entries(spec):
        try:
            for job in _jobs_on(spec, entry):
                known = jobs.setdefault(job.id, job)
                if known.dataset != job.dataset:
                    raise SpecError(f"it holds the same data as the dataset {known.dataset!r}; keep one of them")
        except DeconfoundError as error:
            raise type(error)(f"dataset {entry.name!r}: {error}") from error
    return Plan(spec, tuple(jobs.values()))


def _jobs_on(spec: SweepSpec, entry: DatasetEntry) -> Iterator[Job]:
    dataset = load_data(entry)
    for table in spec.evaluation.tables or ():
        _check_scenario(scenario_from(table), dataset)
    for method in spec.method:
        label = method.title + (ORACLE if spec.selection.rule == "oracle" else "")
        default = _run_spec(spec, entry, method, label, 0)
        development = apply_data_spec(dataset, default.data).development()
        left_out = _left_out_runs(spec, development)
        if left_out and len({environment for _, environment in left_out}) < 3:
            _check_one_environment(default, dataset, left_out[0][1], spec.selection.rule)
        rows = len(development.rows("train"))  # the budget of a draw is the same whatever is left out
        for draw in range(spec.configurations):
            drawn = _run_spec(spec, entry, method, label, draw)
            drawn = drawn.model_copy(update={"train": completed(drawn.train, rows)})
            for seed, environment in [(seed, None) for seed in spec.seeds] + left_out:
                data = drawn.data
                if environment is not None:
                    data = data.model_copy(update={"leave_out": environment})
                values = drawn.model_copy(update={"seed": seed, "data": data}).dump()
                final = environment is None if left_out else seed not in spec.judging_seeds
                name = job_id(values, dataset.checksum)
                yield Job(name, entry.name, label, draw, seed, environment, dataset.checksum, values, final)


def _check_one_environment(spec: Spec, dataset: Dataset, environment: str, rule: str) -> None:
    """Check that a method can be trained on one environment, where the other one of two is left out."""
    data = spec.data.model_copy(update={"leave_out": environment})
    development = apply_data_spec(dataset, data).development()
    with torch.random.fork_rng(devices=[]):
        method = build_method(spec, development.modalities, development.task)
    try:
        method.hooks.check(development)
    except DataError as error:
        raise DataError(
            f"{spec.title}: the rule {rule!r} leaves one of two environments to train on, but this method or its penalty "
            "compares several; choose another rule or another method"
        ) from error


def config_of(job: Job) -> str:
    """Identifier of a configuration; all its seeds and left-out environments share it."""
    data = {k: v for k, v in job.spec["data"].items() if k != "store"}
    if job.left_out is not None:
        data["leave_out"] = None
    return digest({"spec": {**job.spec, "seed": 0, "data": data}, "data": job.checksum})


def _left_out_runs(spec: SweepSpec, development: Dataset) -> list[tuple[int, str]]:
    """(seed, environment) of the additional runs that a rule needs."""
    rule = spec.selection.rule
    if rule in ("valid", "oracle"):
        return []
    if not development.environment:
        raise DataError(f"the rule {rule!r} needs environments; name metadata columns with 'environment = [...]'")
    if rule == "worst-group":
        return []
    names = development.groups(*development.environment)[1]
    if len(names) < 2:
        raise DataError(
            f"the rule {rule!r} needs two environments or more among the training and validation rows; "
            "choose another rule, or name other columns"
        )
    return [(seed, name) for name in names for seed in spec.judging_seeds]


def _run_spec(spec: SweepSpec, entry: DatasetEntry, method: MethodEntry, label: str, draw: int) -> Spec:
    """One run of one draw with seed 0."""
    shared, data = spec.base.backbone.model_dump(), entry.model_dump(exclude={"name", "folds"})
    if data["store"] is not None:
        data["store"] = str(Path(data["store"]).resolve())
    if method.modalities is not None:
        data["modalities"] = method.modalities
        encoders = shared["encoders"]
        shared["encoders"] = {name: encoder for name, encoder in encoders.items() if name in method.modalities}
        if isinstance(data["scale"], dict):
            data["scale"] = {name: scale for name, scale in data["scale"].items() if name in method.modalities}
    backbone = {**shared, **method.backbone}
    encoders = backbone["encoders"]
    tables = {name: encoder for name, encoder in encoders.items() if isinstance(encoder, dict) and "python" in encoder}
    in_memory = [name for name, table in tables.items() if not names_file(table["python"])]
    if in_memory:
        raise SpecError(
            f"the encoder of {in_memory[0]!r} is Python code, which a sweep cannot pass; name its file, as 'file.py:Class'"
        )
    drawn = draw_values(spec, method, draw)
    return Spec.of(
        {
            "name": label,
            "data": data,
            "method": method.table(drawn),
            "backbone": {**backbone, **drawn["backbone"]},
            "train": {**spec.base.train.model_dump(), **drawn["train"]},
        }
    )


def _check_scenario(scenario: Scenario, dataset: Dataset) -> None:
    dataset.rows(scenario.split)
    for name in sorted(needed_modalities(scenario)):
        if name not in dataset.signals:
            raise SpecError(
                f"scenario {scenario.name!r}: there is no modality {name!r}{did_you_mean(name, dataset.signals)}"
            )
    if scenario.where:
        dataset.where(scenario.where)
