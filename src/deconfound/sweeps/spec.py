"""The specification of a sweep: methods × datasets × seeds × hyper-parameter draws, as a TOML file says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from deconfound.data.splits import LEFT_OUT
from deconfound.errors import SpecError
from deconfound.evaluation.scenario import read_scenarios, scenario_from
from deconfound.io.toml_reader import read_toml
from deconfound.method_names import ADDED, method_title
from deconfound.registry import explain, explain_detail
from deconfound.runs.spec import BackboneSpec, DataSpec, TrainSpec

Added = dict[str, dict[str, Any]]
Rule = Literal["valid", "worst-group", "leave-one-environment-out", "worst-left-out-environment", "oracle"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Base(_Table):
    """What all runs share."""

    backbone: BackboneSpec = BackboneSpec()
    train: TrainSpec = TrainSpec()


class DatasetEntry(DataSpec):
    """One [[dataset]]: a label and the fields of [data]."""

    name: str = Field(min_length=1, description="label of the dataset in this sweep")


class MethodEntry(_Table):
    """One [[method]]."""

    name: str = Field(description="of a method; see 'deconfound list'")
    label: str | None = Field(default=None, min_length=1, description="label in reports; 'erm + vrex' if left out")
    arguments: dict[str, Any] = Field(default={}, description="of the method; kept as they are in every draw")
    penalties: Added = Field(default={}, description="of the method: name → arguments, kept as they are")
    augmentations: Added = Field(default={}, description="of the batches: name → arguments, kept as they are")
    backbone: dict[str, Any] = Field(default={}, description="fields that replace those of [base.backbone]")
    modalities: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="modalities to use; those of the dataset if left out"
    )

    @model_validator(mode="after")
    def _joined_beside(self) -> MethodEntry:
        for kind in ADDED:
            if kind in self.arguments:
                raise ValueError(f"{kind} stand beside 'arguments', not in them: {kind} = {{ NAME = {{}} }}")
        return self

    @property
    def title(self) -> str:
        """The label, or the name with those of what joins the method, as "erm + vrex"."""
        return self.label or method_title(self.name, self.arguments, self.penalties, self.augmentations)

    @property
    def parts(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """The method and all that joins it: "method" or "penalties.vrex" → kind, name and what is set."""
        joined = {
            f"{kind}.{name}": (kind, name, knobs) for kind in ADDED for name, knobs in getattr(self, kind).items()
        }
        return {"method": ("methods", self.name, self.arguments), **joined}

    def table(self, drawn: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The table [method] of a specification.

        Args:
            drawn: key of `parts` → argument → value.
        """
        found: dict[str, Any] = {"name": self.name, **self.arguments, **drawn.get("method", {})}
        for key, (kind, name, knobs) in self.parts.items():
            if key != "method":
                found.setdefault(kind, {})[name] = {**knobs, **drawn.get(key, {})}
        return found


class Range(_Table):
    """Where a number is drawn from."""

    low: float = Field(description="lowest value")
    high: float = Field(description="highest value")
    log: bool = Field(default=False, description="draw the logarithm uniformly")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high or (self.log and self.low <= 0):
            raise ValueError(f"low = {self.low:g} and high = {self.high:g} are no range; 0 < low with log, low ≤ high")
        return self


class SearchSpec(_Table):
    """Ranges beside those that the methods declare; every method is drawn in them."""

    backbone: dict[str, Range] = Field(default={}, description="field of [base.backbone] → range")
    train: dict[str, Range] = Field(default={}, description="field of [base.train] → range")


class SelectionSpec(_Table):
    """How one draw per method and dataset is chosen."""

    rule: Rule = Field(default="valid", description="what a draw is judged by")
    seeds: int | None = Field(
        default=None,
        ge=1,
        description="how many seeds judge a draw, the first ones; the others are trained for the chosen draw alone. "
        "All if left out; one per left-out environment where these judge",
    )


class EvaluationSpec(_Table):
    """What is predicted once the selection is fixed."""

    scenarios: str | None = Field(default=None, description="TOML file of [[scenario]] tables, relative to this file")
    tables: tuple[dict[str, Any], ...] | None = Field(
        default=None, min_length=1, description="the same tables written here, as [[evaluation.tables]]"
    )


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("give a number of seeds from 1, or a list of seeds")
    return list(range(value))


def _thread_count(value: Any) -> Any:
    if value != "divide" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError("give a number from 1, or 'divide'")
    return value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...],
    BeforeValidator(_listed),
    Field(min_length=1, description="a number of seeds, or a list of them"),
]


class SweepSpec(_Table):
    """A sweep. `SweepSpec.read` makes it from TOML, `SweepSpec.of` from a mapping."""

    name: str = Field(default="sweep", min_length=1, description="of the sweep")
    seeds: Seeds = (0, 1, 2)
    draws: int = Field(default=1, ge=0, description="configurations per method, the first is the default; 0 is as 1")
    draw_seed: int = Field(default=0, ge=0, description="of the hyper-parameter draws")
    threads: Annotated[int | Literal["divide"], BeforeValidator(_thread_count)] = Field(
        default=1, description="CPU threads of a run, whatever the executor; 'divide' shares the cores among workers"
    )
    base: Base = Base()
    dataset: tuple[DatasetEntry, ...] = Field(min_length=1, description="[[dataset]] tables")
    method: tuple[MethodEntry, ...] = Field(min_length=1, description="[[method]] tables")
    search: SearchSpec = SearchSpec()
    selection: SelectionSpec = SelectionSpec()
    evaluation: EvaluationSpec = EvaluationSpec()

    @model_validator(mode="after")
    def _fits(self) -> SweepSpec:
        for what, labels in (("dataset", [d.name for d in self.dataset]), ("method", [m.title for m in self.method])):
            twice = [label for label in labels if labels.count(label) > 1]
            if twice:
                key = "label" if what == "method" else "name"
                raise ValueError(f"two [[{what}]] tables are called {twice[0]!r}; give each its own {key}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} names one seed twice")
        if self.base.train.threads is not None:
            raise ValueError("base.train.threads is set; in a sweep give 'threads' at the top of the file")
        if self.base.train.processes > 1:
            raise ValueError(
                "base.train.devices or nodes is above 1; a sweep has one process per run: use 'deconfound train'"
            )
        if (self.selection.seeds or 1) > len(self.seeds):
            raise ValueError(
                f"selection.seeds = {self.selection.seeds}, but the sweep has {len(self.seeds)} seeds; give no more"
            )
        if self.selection.rule in LEFT_OUT and any(d.leave_out for d in self.dataset):
            raise ValueError("a dataset sets leave_out and the rule leaves environments out by itself; keep one")
        if self.evaluation.scenarios is not None and self.evaluation.tables is not None:
            raise ValueError("evaluation.scenarios and evaluation.tables exclude each other; keep one")
        return self

    @property
    def configurations(self) -> int:
        """Draws per method, the default included."""
        return max(1, self.draws)

    @property
    def judging_seeds(self) -> tuple[int, ...]:
        """The seeds that draws are judged by; where left-out environments judge, those of each left-out environment."""
        every = 1 if self.selection.rule in LEFT_OUT else len(self.seeds)
        return self.seeds[: self.selection.seeds or every]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> SweepSpec:
        """Check a mapping.

        Raises:
            SpecError: one line that names the argument, what was given and what was expected.
        """
        try:
            spec = cls(**values)
        except ValidationError as error:
            raise SpecError(explain_entry(error, cls)) from error
        for table in spec.evaluation.tables or ():
            scenario_from(table)
        return spec

    @classmethod
    def read(cls, path: str | Path) -> SweepSpec:
        """Read a TOML file; stores and the file of scenarios are taken from the file's folder.

        Raises:
            SpecError: no such file, not TOML, or what `SweepSpec.of` refuses.
        """
        path = Path(path)
        try:
            spec = cls.of(read_toml(path, "sweep"))
            spec = spec.model_copy(update={"evaluation": _with_tables(spec.evaluation, path.parent)})
        except SpecError as error:
            text = str(error)
            raise SpecError(text if str(path) in text else f"{path}: {text}") from error
        placed = [entry.placed(path.parent) for entry in spec.dataset]
        return spec.model_copy(update={"dataset": tuple(placed)})


def _with_tables(evaluation: EvaluationSpec, folder: Path) -> EvaluationSpec:
    """The tables of the named file in the place of its name, so that a sweep says all that it does."""
    if evaluation.scenarios is None:
        return evaluation
    file = folder / evaluation.scenarios
    read_scenarios(file)
    return EvaluationSpec(tables=tuple(read_toml(file, "scenarios")["scenario"]))


def explain_entry(error: ValidationError, model: type[BaseModel]) -> str:
    """As `explain`, also for tables inside of lists: "method.0.lable" is answered with the fields of a method."""
    detail = error.errors()[0]
    place = detail["loc"]
    inner = {"dataset": DatasetEntry, "method": MethodEntry}.get(str(place[0])) if place else None
    if inner is None or len(place) < 3 or not isinstance(place[1], int):
        return explain(error, model)
    return f"[[{place[0]}]] number {place[1] + 1}: {explain_detail({**detail, 'loc': place[2:]}, inner)}"
