"""The specification of a tuning: one dataset, methods, ranges and one budget for all of them, as a TOML file says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from deconfound.errors import SpecError, did_you_mean
from deconfound.io.toml_reader import read_toml
from deconfound.registry import arguments, get_class
from deconfound.runs.spec import BackboneSpec, DataSpec, Spec, TrainSpec
from deconfound.search import Search
from deconfound.sweeps.spec import Base, MethodEntry, Range, SearchSpec, Seeds, explain_entry


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PruningSpec(_Table):
    """When a trial that will not win is given up: its best validation risk so far is worse than the median at that epoch."""

    enabled: bool = Field(default=True, description="give up such trials; they count as trials of the budget")
    startup_trials: int = Field(
        default=5, ge=1, description="trials of a method that are finished before any is given up"
    )
    warmup_epochs: int = Field(default=5, ge=0, description="epochs of a trial that are always trained")


@dataclass(frozen=True)
class Dimension:
    """One number that is searched.

    Args:
        table, name: "method", "penalties.vrex" (as in `MethodEntry.parts`), "backbone" or "train", and the argument in it.
        low, high: inclusive ends.
        log: the logarithm is drawn.
        integer: only whole numbers.
        default: what it is without tuning.
    """

    table: str
    name: str
    low: float
    high: float
    log: bool
    integer: bool
    default: Any

    @property
    def key(self) -> str:
        """ "train.learning_rate", "penalties.vrex.weight"."""
        return f"{self.table}.{self.name}"


class TuneSpec(_Table):
    """A tuning. `TuneSpec.read` makes it from TOML, `TuneSpec.of` from a mapping."""

    name: str = Field(default="tuning", min_length=1, description="of the tuning")
    trials: int = Field(default=20, ge=1, description="configurations tried per method, the same number for each")
    seeds: Seeds = (0,)
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the sampler")
    data: DataSpec = DataSpec()
    base: Base = Base()
    method: tuple[MethodEntry, ...] = Field(min_length=1, description="[[method]] tables")
    search: SearchSpec = SearchSpec()
    pruning: PruningSpec = PruningSpec()

    @model_validator(mode="after")
    def _fits(self) -> TuneSpec:
        slugs = [slug(entry.title) for entry in self.method]
        twice = [entry.title for entry, own in zip(self.method, slugs, strict=True) if slugs.count(own) > 1]
        if twice:
            raise ValueError(f"two [[method]] tables are called {twice[0]!r}; give each its own label")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} names one seed twice")
        if self.base.train.processes > 1:
            raise ValueError(
                "base.train.devices or nodes is above 1; a trial has one process: start more workers instead"
            )
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TuneSpec:
        """Check a mapping, and that every end of every range is a specification that can be trained.

        Raises:
            SpecError: one line that names the argument, what was given and what was expected.
        """
        try:
            spec = cls(**values)
        except ValidationError as error:
            raise SpecError(explain_entry(error, cls)) from error
        for entry in spec.method:
            for dimension in spec.space(entry):
                for end in (dimension.low, dimension.high):
                    drawn = {dimension.key: int(end) if dimension.integer else end}
                    try:
                        spec.run_spec(entry, drawn, spec.seeds[0])
                    except SpecError as error:
                        raise SpecError(f"the range of {dimension.key} does not fit: {error}") from error
        return spec

    @classmethod
    def read(cls, path: str | Path) -> TuneSpec:
        """Read a TOML file; a relative `data.store` is taken from the file's folder.

        Raises:
            SpecError: no such file, not TOML, or what `TuneSpec.of` refuses.
        """
        path = Path(path)
        values = read_toml(path, "tuning")
        try:
            spec = cls.of(values)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
        return spec.model_copy(update={"data": spec.data.placed(path.parent)})

    def space(self, entry: MethodEntry) -> list[Dimension]:
        """What is searched for a method: the ranges in its constructor's annotations and those of [search].

        An argument that its [[method]] table sets stays as it is set.

        Raises:
            SpecError: an argument or field that does not exist or is no number, or nothing is left to search.
        """
        found = [
            _dimension(key, name, field, Range(low=item.low, high=item.high, log=item.log))
            for key, (kind, component, given) in entry.parts.items()
            for name, field in arguments(get_class(kind, component)).model_fields.items()
            for item in field.metadata
            if isinstance(item, Search) and name not in given
        ]
        for table, model in (("backbone", BackboneSpec), ("train", TrainSpec)):
            base = getattr(self.base, table)
            for name, ends in getattr(self.search, table).items():
                if name not in model.model_fields:
                    raise SpecError(f"[search.{table}] has no {name!r}{did_you_mean(name, model.model_fields)}")
                if table == "train" or name not in entry.backbone:
                    found.append(_dimension(table, name, model.model_fields[name], ends, getattr(base, name)))
        if not found:
            raise SpecError(
                f"{entry.title} has nothing to search; give a range, such as learning_rate in [search.train], or train it"
            )
        return found

    def run_spec(self, entry: MethodEntry, drawn: Mapping[str, Any], seed: int) -> Spec:
        """The specification of one training run.

        Args:
            drawn: `Dimension.key` → value; the others keep their default.

        Raises:
            SpecError: a value out of range.
        """
        data = self.data.model_dump()
        if entry.modalities is not None:
            data["modalities"] = entry.modalities
        found: dict[str, dict[str, Any]] = {"backbone": {}, "train": {}}
        for key, value in drawn.items():
            table, _, name = key.rpartition(".")
            found.setdefault(table, {})[name] = value
        values = {
            "method": entry.table(found),
            "backbone": {**self.base.backbone.model_dump(), **entry.backbone, **found["backbone"]},
            "train": {**self.base.train.model_dump(), **found["train"]},
        }
        return Spec.of({"name": entry.title, "seed": seed, "data": data, **values})


def _dimension(table: str, name: str, field: FieldInfo, ends: Range, default: Any = None) -> Dimension:
    if field.annotation not in (int, float):
        raise SpecError(f"{table}.{name} cannot be searched in a range, as it is no number; set it in [base.{table}]")
    default = field.default if default is None else default
    return Dimension(table, name, ends.low, ends.high, ends.log, field.annotation is int, default)


def slug(title: str) -> str:
    """A title as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.+]+", "-", title.replace(" + ", "+")).strip("-.") or "method"
