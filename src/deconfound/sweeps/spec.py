"""The specification of a sweep in TOML: methods × datasets × seeds × hyper-parameter draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from deconfound.data.splits import LEFT_OUT
from deconfound.datasets.fold_spec import FoldsSpec
from deconfound.errors import SpecError
from deconfound.evaluation.scenario import read_scenarios, scenario_from
from deconfound.evaluation.selection import NEED_METRIC
from deconfound.io.limits import MOST_DRAWS, MOST_JOBS, MOST_SEEDS, MOST_THREADS
from deconfound.io.python_file import with_placed_code
from deconfound.io.reading import read_toml, shown
from deconfound.method_names import ADDED, method_title
from deconfound.registry import explain, explain_detail
from deconfound.runs.spec import BackboneSpec, DataSpec, TrainSpec

Added = dict[str, dict[str, Any]]
Rule = Literal["valid", "worst-group", "leave-one-environment-out", "worst-left-out-environment", "oracle"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Base(_Table):
    """Settings that all runs share."""

    backbone: BackboneSpec = BackboneSpec()
    train: TrainSpec = TrainSpec()


class DatasetEntry(DataSpec):
    """A [[dataset]] table: a name and the fields of [data]."""

    name: str = Field(min_length=1, description="name of the dataset in this sweep")
    folds: FoldsSpec | None = Field(default=None, description="folds of this dataset, in place of [folds]")


class MethodEntry(_Table):
    """A [[method]] table."""

    name: str = Field(description="name of the method; see 'deconfound list'")
    python: str | None = Field(
        default=None, description="'file.py:Class' of a method of yours, which 'name' then labels"
    )
    label: str | None = Field(default=None, min_length=1, description="label in reports; 'erm + vrex' if left out")
    arguments: dict[str, Any] = Field(default={}, description="arguments of the method, the same in every draw")
    penalties: Added = Field(
        default={}, description="penalties of the method: name → arguments, the same in every draw"
    )
    augmentations: Added = Field(
        default={}, description="augmentations of the batches: name → arguments, the same in every draw"
    )
    backbone: dict[str, Any] = Field(default={}, description="fields that override [base.backbone]")
    modalities: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="modalities to use; default: those of the dataset"
    )

    @model_validator(mode="after")
    def _components_beside(self) -> MethodEntry:
        for kind in ADDED:
            if kind in self.arguments:
                raise ValueError(f"give {kind} beside 'arguments', not inside: {kind} = {{ NAME = {{}} }}")
        return self

    @property
    def title(self) -> str:
        """The label, or the names of the method, its penalties and its augmentations, as in "erm + vrex"."""
        return self.label or method_title(self.name, self.arguments, self.penalties, self.augmentations)

    @property
    def parts(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """The method, its penalties and its augmentations: "method" or "penalties.vrex" → kind, name, fixed arguments."""
        added = {
            f"{kind}.{name}": (kind, name, arguments)
            for kind in ADDED
            for name, arguments in getattr(self, kind).items()
        }
        return {"method": ("methods", self.name, self.arguments), **added}

    def table(self, drawn: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The table [method] of a specification.

        Args:
            drawn: key of `parts` → argument → value.
        """
        own = {} if self.python is None else {"python": self.python}
        table: dict[str, Any] = {"name": self.name, **own, **self.arguments, **drawn.get("method", {})}
        for key, (kind, name, arguments) in self.parts.items():
            if key != "method":
                table.setdefault(kind, {})[name] = {**arguments, **drawn.get(key, {})}
        return table


class Range(_Table):
    """The range of a hyper-parameter."""

    low: float = Field(description="smallest value")
    high: float = Field(description="largest value")
    log: bool = Field(default=False, description="search the logarithm")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low = {self.low:g} and high = {self.high:g} are not a range; give low ≤ high, and low > 0 with log"
            )
        return self


class SearchSpec(_Table):
    """Search ranges for all methods, beside those that the methods declare."""

    backbone: dict[str, Range] = Field(default={}, description="field of [base.backbone] → range")
    train: dict[str, Range] = Field(default={}, description="field of [base.train] → range")


class SelectionSpec(_Table):
    """How one draw is chosen for each method and dataset."""

    rule: Rule = Field(default="valid", description="rows and runs that a draw is judged by")
    criterion: Literal["risk", "calibrated-risk", "metric"] | None = Field(
        default=None,
        description="what is compared: that of [base.train], which chooses epochs too, or the primary metric",
    )
    seeds: int | None = Field(
        default=None,
        ge=1,
        description="number of seeds that judge a draw, the first ones of the sweep; the other seeds are trained for the "
        "chosen draw only. Default: all, or one for each left-out environment",
    )


class EvaluationSpec(_Table):
    """Scenarios to evaluate once the selection is final."""

    scenarios: str | None = Field(default=None, description="TOML file of [[scenario]] tables, relative to this file")
    tables: tuple[dict[str, Any], ...] | None = Field(
        default=None, min_length=1, description="the same tables in this file, as [[evaluation.tables]]"
    )


def _seed_list(value: Any) -> Any:
    if isinstance(value, list | tuple) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"give a number of seeds from 1 to {MOST_SEEDS}, or a list of seeds")
    return list(range(value))


def _thread_count(value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_THREADS
    if value != "divide" and not number:
        raise ValueError(f"give a number from 1 to {MOST_THREADS}, or 'divide'")
    return value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...],
    BeforeValidator(_seed_list),
    Field(min_length=1, max_length=MOST_SEEDS, description="a number of seeds, or a list of them"),
]


class SweepSpec(_Table):
    """A sweep. `SweepSpec.read` makes it from TOML, `SweepSpec.of` from a mapping."""

    name: str = Field(default="sweep", min_length=1, description="name of the sweep")
    seeds: Seeds = (0, 1, 2)
    draws: int = Field(
        default=1, ge=0, le=MOST_DRAWS, description="configurations per method; the first is the default, 0 means 1"
    )
    draw_seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the hyper-parameter draws")
    threads: Annotated[int | Literal["divide"], BeforeValidator(_thread_count)] = Field(
        default=1, description="CPU threads of a run with every executor; 'divide' shares the cores among the workers"
    )
    base: Base = Base()
    dataset: tuple[DatasetEntry, ...] = Field(min_length=1, description="[[dataset]] tables")
    folds: FoldsSpec | None = Field(default=None, description="makes every dataset one for each fold of it")
    method: tuple[MethodEntry, ...] = Field(min_length=1, description="[[method]] tables")
    search: SearchSpec = SearchSpec()
    selection: SelectionSpec = SelectionSpec()
    evaluation: EvaluationSpec = EvaluationSpec()

    @model_validator(mode="after")
    def _fits(self) -> SweepSpec:
        for kind, labels in (("dataset", [d.name for d in self.dataset]), ("method", [m.title for m in self.method])):
            duplicates = [label for label in labels if labels.count(label) > 1]
            if duplicates:
                key = "label" if kind == "method" else "name"
                raise ValueError(f"two [[{kind}]] tables are called {duplicates[0]!r}; give each its own {key}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} contains a seed twice; give each once")
        jobs = self.configurations * len(self.seeds) * len(self.dataset) * len(self.method)
        if jobs > MOST_JOBS:
            raise ValueError(
                f"draws, seeds, [[dataset]] and [[method]] make {jobs} runs, the limit is {MOST_JOBS}; split the sweep"
            )
        if self.base.train.threads is not None:
            raise ValueError("base.train.threads is set; give 'threads' at the top of the sweep file instead")
        if self.base.train.processes > 1:
            raise ValueError(
                "base.train.devices or nodes is above 1, but a sweep uses one process per run; use 'deconfound train'"
            )
        if (self.selection.seeds or 1) > len(self.seeds):
            raise ValueError(
                f"selection.seeds = {self.selection.seeds}, but the sweep has only {len(self.seeds)} seeds; lower it"
            )
        if self.selection.rule in LEFT_OUT and any(d.leave_out for d in self.dataset):
            raise ValueError(
                "a dataset sets leave_out, but the selection rule leaves environments out itself; remove one of them"
            )
        if self.selection.criterion not in (None, "metric", self.criterion):
            raise ValueError(
                f"selection.criterion = {self.selection.criterion!r}: draws are compared by the metric, or by what chose the "
                f"epochs; give 'metric' or set base.train.criterion (with {self.selection.rule!r} always the metric)"
            )
        if self.evaluation.scenarios is not None and self.evaluation.tables is not None:
            raise ValueError("evaluation.scenarios and evaluation.tables are both set; keep one of them")
        return self

    @property
    def criterion(self) -> str:
        """What draws are compared by: the metric, or the score by which each run chose its epoch."""
        by_metric = self.selection.rule in NEED_METRIC or self.selection.criterion == "metric"
        return "metric" if by_metric else self.base.train.criterion

    @property
    def configurations(self) -> int:
        """Number of draws per method, including the default."""
        return max(1, self.draws)

    @property
    def judging_seeds(self) -> tuple[int, ...]:
        """Seeds that judge the draws; with a rule of left-out environments, the seeds for each environment."""
        default = 1 if self.selection.rule in LEFT_OUT else len(self.seeds)
        return self.seeds[: self.selection.seeds or default]

    @classmethod
    def of(cls, values: Mapping[str, Any], *, run_code: bool = True) -> SweepSpec:
        """Check a mapping.

        Args:
            run_code: check scenarios whose corruption is a Python file too, which runs it.

        Raises:
            SpecError: one line that names the argument, its value and the expected values.
        """
        try:
            spec = cls(**values)
        except ValidationError as error:
            raise SpecError(explain_entry(error, cls)) from error
        for table in spec.evaluation.tables or ():
            if run_code or "python" not in table:
                scenario_from(table)
        return spec

    @classmethod
    def read(cls, path: str | Path) -> SweepSpec:
        """Read a TOML file; relative paths in it start at the folder of the file.

        Raises:
            SpecError: the file cannot be read, is not TOML, or describes something that `SweepSpec.of` refuses.
        """
        path = Path(path)
        try:
            spec = cls.of(with_placed_code(read_toml(path, "sweep"), path.parent))
            spec = spec.model_copy(update={"evaluation": _with_tables(spec.evaluation, path.parent)})
        except SpecError as error:
            text = str(error)
            raise SpecError(text if shown(path) in text else f"{shown(path)}: {text}") from error
        datasets = tuple(entry.placed(path.parent) for entry in spec.dataset)
        return spec.model_copy(update={"dataset": datasets})


def _with_tables(evaluation: EvaluationSpec, folder: Path) -> EvaluationSpec:
    """Replace the name of the scenario file by its tables, so that the sweep is complete in itself."""
    if evaluation.scenarios is None:
        return evaluation
    file = folder / evaluation.scenarios
    read_scenarios(file)
    tables = read_toml(file, "scenarios")["scenario"]
    return EvaluationSpec(tables=tuple(with_placed_code(table, file.parent) for table in tables))


def explain_entry(error: ValidationError, model: type[BaseModel]) -> str:
    """Explain a validation error; one inside a [[dataset]] or [[method]] table is explained with the fields of that table."""
    detail = error.errors()[0]
    location = detail["loc"]
    entry_model = {"dataset": DatasetEntry, "method": MethodEntry}.get(str(location[0])) if location else None
    if entry_model is None or len(location) < 3 or not isinstance(location[1], int):
        return explain(error, model)
    return f"[[{location[0]}]] number {location[1] + 1}: {explain_detail({**detail, 'loc': location[2:]}, entry_model)}"
