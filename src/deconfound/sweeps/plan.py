"""From a sweep to its jobs: hyper-parameter draws, left-out environments, ids. Everything is checked before any training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from deconfound.corruption import seeded
from deconfound.data.dataset import Dataset
from deconfound.data.splits import LEFT_OUT
from deconfound.errors import DataError, DeconfoundError, RunError, SpecError, did_you_mean
from deconfound.evaluation.scenario import Scenario, scenario_from
from deconfound.io.files import atomic_write
from deconfound.registry import arguments, get_class
from deconfound.runs.build import apply_data_spec, build_method, load_data
from deconfound.runs.spec import BackboneSpec, Spec, TrainSpec
from deconfound.search import Search
from deconfound.sweeps.jobs import Job, digest, job_id, read_sweep_json
from deconfound.sweeps.spec import DatasetEntry, MethodEntry, SweepSpec

ORACLE = " [oracle]"
"""Added to the label of every method that is selected on test rows, so that its records say so wherever they go."""


@dataclass(frozen=True)
class Plan:
    """A sweep and its jobs.

    Args:
        spec: what was asked for.
        jobs: each once; a draw that equals an earlier one (a method without anything to draw) adds none. The final ones are
            listed for every draw and trained for the chosen one alone.
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
        found: dict[tuple[str, str], list[Job]] = {}
        for job in self.jobs:
            found.setdefault((job.dataset, job.method), []).append(job)
        return {pair: tuple(jobs) for pair, jobs in found.items()}

    @property
    def budget(self) -> dict[str, Any]:
        """What every method gets, and what is made of it."""
        return {
            "draws": self.spec.configurations,
            "seeds": len(self.spec.seeds),
            "judging_seeds": len(self.spec.judging_seeds),
            "rule": self.spec.selection.rule,
            "runs": sum(not job.final for job in self.jobs) + sum(map(finals_of_a_draw, self.pairs.values())),
            "configurations": {
                f"{method} on {dataset}": len({job.draw for job in jobs})
                for (dataset, method), jobs in self.pairs.items()
            },
        }

    def budget_text(self) -> str:
        """The budget in a line, and one more for each method that had less to draw than it was given."""
        given = self.budget
        first, then = f"{given['judging_seeds']} seeds", f", then {given['seeds']} seeds of the chosen one"
        if given["rule"] in LEFT_OUT:
            first = f"{first} per left-out environment"
        elif given["judging_seeds"] == given["seeds"]:
            then = ""
        lines = [
            f"budget: {given['draws']} configurations × {first} for each method on each dataset{then}; "
            f"{given['runs']} runs; selection by {given['rule']!r}"
        ]
        for pair, count in given["configurations"].items():
            if count < given["draws"]:
                lines.append(f"  {pair}: {count} of {given['draws']} draws differ (its search ranges hold no more)")
        return "\n".join(lines)

    def write(self, out: Path) -> None:
        """Write sweep.json."""
        values = {
            "name": self.spec.name,
            "spec": self.spec.model_dump(mode="json"),
            "budget": self.budget,
            "jobs": [asdict(job) for job in self.jobs],
        }
        with atomic_write(out / "sweep.json") as file:
            json.dump(values, file, indent=1)


def finals_of_a_draw(jobs: Sequence[Job]) -> int:
    """How many final runs the chosen draw of a method on a dataset has; as many as any other."""
    return sum(job.final for job in jobs if job.draw == jobs[0].draw)


def read_plan(out: Path) -> Plan:
    """What `Plan.write` wrote.

    Raises:
        RunError: no sweep, or a damaged one.
    """
    values = read_sweep_json(out)
    try:
        return Plan(SweepSpec.of(values["spec"]), tuple(Job(**job) for job in values["jobs"]))
    except (KeyError, TypeError, SpecError) as error:
        raise RunError(
            f"the sweep {out} is damaged ({error}); call 'deconfound sweep SPEC --out {out}' again"
        ) from error


def make_plan(spec: SweepSpec) -> Plan:
    """All jobs of a sweep.

    Raises:
        SpecError, DataError, StoreError: an unknown name, argument, modality, environment, split or search range; a dataset
            without training or validation rows; a rule that needs environments where there are none.
    """
    jobs: dict[str, Job] = {}
    for entry in spec.dataset:
        try:
            for job in _jobs_on(spec, entry):
                known = jobs.setdefault(job.id, job)
                if known.dataset != job.dataset:
                    raise SpecError(f"it is the same data as the dataset {known.dataset!r}; keep one")
        except DeconfoundError as error:
            raise type(error)(f"dataset {entry.name!r}: {error}") from error
    return Plan(spec, tuple(jobs.values()))


def _jobs_on(spec: SweepSpec, entry: DatasetEntry) -> Iterator[Job]:
    whole = load_data(entry)
    for table in spec.evaluation.tables or ():
        _check_scenario(scenario_from(table), whole)
    for method in spec.method:
        label = method.title + (ORACLE if spec.selection.rule == "oracle" else "")
        first = _run_spec(spec, entry, method, label, 0)
        development = apply_data_spec(whole, first.data).development()
        left_out = _left_out(spec, development)
        if left_out and len({out for _, out in left_out}) < 3:
            _check_one_environment(first, whole, left_out[0][1], spec.selection.rule)
        for draw in range(spec.configurations):
            drawn = _run_spec(spec, entry, method, label, draw)
            for seed, out in [(seed, None) for seed in spec.seeds] + left_out:
                data = drawn.data if out is None else drawn.data.model_copy(update={"leave_out": out})
                values = drawn.model_copy(update={"seed": seed, "data": data}).dump()
                name = job_id(values, whole.checksum)
                final = out is None if left_out else seed not in spec.judging_seeds
                yield Job(name, entry.name, label, draw, seed, out, whole.checksum, values, final)


def _check_one_environment(spec: Spec, whole: Dataset, out: str, rule: str) -> None:
    """Whether a method can be trained on the one environment that is left of two."""
    left = apply_data_spec(whole, spec.data.model_copy(update={"leave_out": out})).development()
    with torch.random.fork_rng(devices=[]):
        method = build_method(spec, left.modalities, left.task)
    try:
        method.check(left)
    except DataError as error:
        raise DataError(
            f"{spec.title}: of two environments the rule {rule!r} leaves one to train on, and this method, or a penalty of "
            "it, compares several; choose another rule or another method"
        ) from error


def config_of(job: Job) -> str:
    """What the seeds and left-out environments of one configuration share."""
    data = {k: v for k, v in job.spec["data"].items() if k != "store"}
    if job.left_out is not None:
        data["leave_out"] = None
    return digest({"spec": {**job.spec, "seed": 0, "data": data}, "data": job.checksum})


def _left_out(spec: SweepSpec, development: Dataset) -> list[tuple[int, str]]:
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
        raise DataError(f"the rule {rule!r} needs two environments or more among the training and validation rows")
    return [(seed, name) for name in names for seed in spec.judging_seeds]


def _run_spec(spec: SweepSpec, entry: DatasetEntry, method: MethodEntry, label: str, draw: int) -> Spec:
    """One run of one draw with seed 0."""
    shared, data = _given(spec.base.backbone), _given(entry, "name")
    if data["store"] is not None:
        data["store"] = str(Path(data["store"]).resolve())
    if method.modalities is not None:
        data["modalities"] = method.modalities
        shared["encoders"] = {name: it for name, it in shared["encoders"].items() if name in method.modalities}
    backbone = {**shared, **method.backbone}
    encoders = backbone["encoders"]
    python = [name for name, encoder in encoders.items() if isinstance(encoder, dict) and "python" in encoder]
    if python:
        raise SpecError(f"the encoder of {python[0]!r} is Python code, which a sweep cannot pass; register it by name")
    drawn = draw_values(spec, method, draw)
    return Spec.of(
        {
            "name": label,
            "data": data,
            "method": method.table(drawn),
            "backbone": {**backbone, **drawn["backbone"]},
            "train": {**_given(spec.base.train), **drawn["train"]},
        }
    )


def _given(table: Any, *without: str) -> dict[str, Any]:
    return {name: value for name, value in table.model_dump().items() if name not in without}


def draw_values(spec: SweepSpec, method: MethodEntry, draw: int) -> dict[str, dict[str, Any]]:
    """Table of a specification, or key of `MethodEntry.parts`, → argument → value of one draw; all empty for draw 0.

    Draw 0 is the default. A value follows from the seed of the draws, the label, the number of the draw and the
    argument's name: more draws, methods or arguments leave it as it is. What a [[method]] table sets is not drawn.
    """
    ranges: dict[str, dict[str, tuple[Any, Search]]] = {key: {} for key in (*method.parts, "backbone", "train")}
    for key, (kind, component, given) in method.parts.items():
        for name, field in arguments(get_class(kind, component)).model_fields.items():
            found = next((item for item in field.metadata if isinstance(item, Search)), None)
            if found is not None and name not in given:
                ranges[key][name] = field.annotation, found
    for table, fields, known in (
        ("backbone", spec.search.backbone, BackboneSpec.model_fields),
        ("train", spec.search.train, TrainSpec.model_fields),
    ):
        for name, given in fields.items():
            if name not in known or known[name].annotation not in (int, float):
                numbers = [each for each, field in known.items() if field.annotation in (int, float)]
                raise SpecError(f"search.{table}.{name} is no number of [{table}]{did_you_mean(name, numbers)}")
            if table == "train" or name not in method.backbone:
                ranges[table][name] = known[name].annotation, Search(given.low, given.high, given.log)
    if draw == 0:
        return {table: {} for table in ranges}
    return {
        table: {
            name: _draw(kind, search, seeded("sweep", spec.draw_seed, method.title, draw, table, name))
            for name, (kind, search) in found.items()
        }
        for table, found in ranges.items()
    }


def _draw(kind: Any, search: Search, generator: torch.Generator) -> float | int:
    """A number in [low, high]; a whole one, each as likely as its share of the range, where the argument is whole."""
    share = float(torch.rand((), generator=generator, dtype=torch.float64))
    low, high = search.low, search.high
    if kind is int:  # half a step wider at both ends, so that the ends are as likely as what lies between
        low, high = max(low - 0.5, low / 2), high + 0.5
    value = math.exp(math.log(low) + share * math.log(high / low)) if search.log else low + share * (high - low)
    if kind is int:
        return min(max(round(value), math.ceil(search.low)), math.floor(search.high))
    return float(f"{min(max(value, search.low), search.high):.6g}")


def _check_scenario(scenario: Scenario, dataset: Dataset) -> None:
    dataset.rows(scenario.split)
    for name in scenario.present:
        if name not in dataset.signals:
            raise SpecError(
                f"scenario {scenario.name!r}: there is no modality {name!r}{did_you_mean(name, dataset.signals)}"
            )
    if scenario.where:
        dataset.where(scenario.where)
