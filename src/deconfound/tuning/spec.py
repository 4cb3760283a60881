"""The specification of a tuning in TOML: one dataset, methods, search ranges and one budget for all methods."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deconfound.errors import SpecError
from deconfound.io.limits import MOST_DRAWS
from deconfound.io.python_file import with_placed_code
from deconfound.io.reading import read_toml
from deconfound.runs.spec import DataSpec, Spec
from deconfound.sweeps.search_space import Dimension, search_space
from deconfound.sweeps.spec import Base, MethodEntry, SearchSpec, Seeds, explain_entry


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PruningSpec(_Table):
    """When a trial is pruned: its best validation risk so far is worse than the median of the other trials at that epoch."""

    enabled: bool = Field(default=True, description="stop such trials early; they still count as trials of the budget")
    startup_trials: int = Field(
        default=5, ge=1, lt=2**31, description="number of trials of a method to finish before any is pruned"
    )
    warmup_epochs: int = Field(
        default=5, ge=0, lt=2**31, description="number of epochs that every trial is trained for"
    )


class TuneSpec(_Table):
    """A tuning. `TuneSpec.read` makes it from TOML, `TuneSpec.of` from a mapping."""

    name: str = Field(default="tuning", min_length=1, description="name of the tuning")
    trials: int = Field(default=20, ge=1, le=MOST_DRAWS, description="number of configurations to try per method")
    seeds: Seeds = (0,)
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the sampler")
    data: DataSpec = DataSpec()
    base: Base = Base()
    method: tuple[MethodEntry, ...] = Field(min_length=1, description="[[method]] tables")
    search: SearchSpec = SearchSpec()
    pruning: PruningSpec = PruningSpec()

    @model_validator(mode="after")
    def _fits(self) -> TuneSpec:
        slugs = [slug(entry.title) for entry in self.method]
        duplicates = [entry.title for entry, name in zip(self.method, slugs, strict=True) if slugs.count(name) > 1]
        if duplicates:
            raise ValueError(f"two [[method]] tables are called {duplicates[0]!r}; give each its own label")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} contains a seed twice; give each once")
        if self.base.train.processes > 1:
            raise ValueError(
                "base.train.devices or nodes is above 1, but a trial uses one process; start more workers instead"
            )
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TuneSpec:
        """Check a mapping, and that both limits of every range give a valid specification.

        Raises:
            SpecError: one line that names the argument, its value and the expected values.
        """
        try:
            spec = cls(**values)
        except ValidationError as error:
            raise SpecError(explain_entry(error, cls)) from error
        for entry in spec.method:
            for dimension in spec.space(entry):
                for limit in (dimension.low, dimension.high):
                    drawn = {dimension.key: int(limit) if dimension.integer else limit}
                    try:
                        spec.run_spec(entry, drawn, spec.seeds[0])
                    except SpecError as error:
                        raise SpecError(f"the range of {dimension.key} does not fit: {error}") from error
        return spec

    @classmethod
    def read(cls, path: str | Path) -> TuneSpec:
        """Read a TOML file; a relative `data.store` is taken from the file's folder.

        Raises:
            SpecError: the file cannot be read, is not TOML, or describes something that `TuneSpec.of` refuses.
        """
        path = Path(path)
        values = with_placed_code(read_toml(path, "tuning"), path.parent)
        try:
            spec = cls.of(values)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
        return spec.model_copy(update={"data": spec.data.placed(path.parent)})

    def space(self, entry: MethodEntry) -> list[Dimension]:
        """The search space of a method, see `deconfound.sweeps.search_space.search_space`.

        Raises:
            SpecError: a search range that does not fit, or a method without anything to search.
        """
        dimensions = search_space(entry, self.base, self.search)
        if not dimensions:
            raise SpecError(
                f"{entry.title} has nothing to search; give a range, such as learning_rate in [search.train], or train it"
            )
        return dimensions

    def run_spec(self, entry: MethodEntry, drawn: Mapping[str, Any], seed: int) -> Spec:
        """The specification of one training run.

        Args:
            drawn: `Dimension.key` → value. Arguments that are not in it keep their default.

        Raises:
            SpecError: a value is out of range.
        """
        data = self.data.model_dump()
        if entry.modalities is not None:
            data["modalities"] = entry.modalities
        tables: dict[str, dict[str, Any]] = {"backbone": {}, "train": {}}
        for key, value in drawn.items():
            table, _, name = key.rpartition(".")
            tables.setdefault(table, {})[name] = value
        values = {
            "method": entry.table(tables),
            "backbone": {**self.base.backbone.model_dump(), **entry.backbone, **tables["backbone"]},
            "train": {**self.base.train.model_dump(), **tables["train"]},
        }
        return Spec.of({"name": entry.title, "seed": seed, "data": data, **values})


def slug(title: str) -> str:
    """A title as part of a file name."""
    return re.sub(r"[^A-Za-z0-9_.+]+", "-", title.replace(" + ", "+")).strip("-.") or "method"
