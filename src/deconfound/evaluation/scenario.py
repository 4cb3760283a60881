"""`Scenario`: which rows, damaged how, how strongly, how often."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from deconfound.data.splits import in_distribution
from deconfound.errors import SpecError, did_you_mean
from deconfound.registry import explain, names, validate_arguments

if TYPE_CHECKING:
    from deconfound.corruption import Corruption
    from deconfound.data.dataset import Dataset


@dataclass(frozen=True)
class Scenario:
    """One question about a trained method: these rows, under this damage.

    Args:
        name: under which predictions and records are kept.
        split: the rows come from this split,
        where: and of them only those whose metadata columns equal the given value or one of the given list of values.
        corruption: None for undamaged rows, the name of a registered corruption, or a `Corruption`.
        arguments: of the named corruption.
        severities: each is evaluated; (0.0,) without a corruption.
        repeats: draws of the damage per severity; severity 0 is drawn as often, so that all have one shape.
        present: the modalities that are there, the others are absent in every row; empty for all.

    Raises:
        SpecError: what does not go together.
    """

    name: str
    split: str
    where: Mapping[str, object] = field(default_factory=dict)
    corruption: str | Corruption | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severities: tuple[float, ...] = (0.0,)
    repeats: int = 1
    present: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise SpecError(f"a scenario needs a name of printable characters; got {self.name!r}")
        levels = self.severities
        if not levels or len(set(levels)) != len(levels) or not all(math.isfinite(s) and s >= 0 for s in levels):
            raise SpecError(f"scenario {self.name!r}: severities are distinct numbers from 0; got {list(levels)}")
        if not 1 <= self.repeats <= 1000:
            raise SpecError(f"scenario {self.name!r}: repeats must be from 1 to 1000; got {self.repeats}")
        if self.corruption is None and (self.arguments or tuple(levels) != (0.0,) or self.repeats != 1):
            raise SpecError(f"scenario {self.name!r}: arguments, severities and repeats need a corruption; name one")
        if self.arguments and not isinstance(self.corruption, str):
            raise SpecError(f"scenario {self.name!r}: arguments go with the name of a corruption, not with an object")

    @property
    def clean(self) -> bool:
        """True if the rows are as they are in the dataset."""
        return self.corruption is None and not self.present


def definition(scenario: Scenario) -> str:
    """All of a scenario as text; equal texts ask the same question."""
    corruption = scenario.corruption
    if isinstance(corruption, str):
        corruption = f"{corruption} {validate_arguments('corruptions', corruption, scenario.arguments)}"
    parts = {"split": scenario.split, "where": dict(scenario.where), "present": sorted(scenario.present)}
    parts |= {"corruption": corruption and str(corruption), "severities": [float(s) for s in scenario.severities]}
    return json.dumps(parts | {"repeats": scenario.repeats}, sort_keys=True, default=str)


def default_scenarios(dataset: Dataset) -> list[Scenario]:
    """What is evaluated unless a specification says otherwise.

    - "valid" and every test split as they are, under the split's own name;
    - on the in-distribution split, else on the first test split, else on "valid": "gaussian" noise of 0.25, 0.5, 1 and 2
      training standard deviations (where there are training rows); where there is a sequence, "drop-frames" with
      probability 0.1 to 0.9; each three times;
    - there too "present=text+audio" for each proper subset of up to four modalities; of more, each alone, each missing.
    """
    split = _damaged_split(dataset)
    scenarios = [Scenario(name, name) for name in dataset.splits if name != "train"]
    modalities = dataset.modalities
    if "train" in dataset.splits and any(modality.kind != "tokens" for modality in modalities.values()):
        levels = (0.25, 0.5, 1.0, 2.0)
        scenarios.append(Scenario("gaussian", split, corruption="gaussian", severities=levels, repeats=3))
    if any(modality.steps > 1 for modality in modalities.values()):
        levels = (0.1, 0.3, 0.5, 0.7, 0.9)
        scenarios.append(Scenario("drop-frames", split, corruption="drop-frames", severities=levels, repeats=3))
    count = len(modalities)
    sizes = range(1, count) if count <= 4 else (1, count - 1)
    for size in sizes:
        subsets = combinations(modalities, size)
        scenarios += [Scenario(f"present={'+'.join(kept)}", split, present=kept) for kept in subsets]
    return scenarios


def _damaged_split(dataset: Dataset) -> str:
    tests = dataset.test_splits
    found = in_distribution(tests) or next((name for name in (*tests, "valid") if name in dataset.splits), None)
    if found is None:
        has = ", ".join(dataset.splits)
        raise SpecError(f"{dataset.name} has only the split {has}; evaluation needs 'valid' or a test split")
    return found


class _Table(BaseModel):
    """A scenario as it stands in a TOML file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    split: str
    where: dict[str, str | int | float | list[str | int | float]] = {}
    corruption: str | None = None
    arguments: dict[str, Any] = {}
    severities: list[float] = [0.0]
    repeats: int = 1
    present: list[str] = []


def scenario_from(table: Mapping[str, Any]) -> Scenario:
    """A scenario from one table of a TOML list:

        [[scenario]]
        name = "loud"
        split = "test"
        where = {room = ["street", "car"]}
        corruption = "gaussian"
        arguments = {modalities = ["audio"]}
        severities = [0.5, 1.0]
        repeats = 3

    Raises:
        SpecError: a misspelt key, a value of the wrong type or range, an unknown corruption, or a wrong argument of it.
    """
    what = f"scenario {table['name']!r}" if isinstance(table.get("name"), str) else "a scenario"
    try:
        given = _Table(**table)
    except ValidationError as error:
        raise SpecError(f"{what}: {explain(error, _Table)}") from error
    if given.corruption is not None:
        if given.corruption not in names("corruptions"):
            hint = did_you_mean(given.corruption, names("corruptions"))
            raise SpecError(f"{what}: there is no corruption {given.corruption!r}{hint}")
        validate_arguments("corruptions", given.corruption, given.arguments)
    values = given.model_dump()
    return Scenario(**values | {"severities": tuple(given.severities), "present": tuple(given.present)})


def read_scenarios(path: str | Path) -> list[Scenario]:
    """The `[[scenario]]` tables of a TOML file, see `scenario_from`.

    Raises:
        SpecError: the file cannot be read, is not TOML, holds anything else, or what `scenario_from` refuses.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read the scenarios {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not TOML: {error}") from error
    other = [key for key in tables if key != "scenario"]
    found = tables.get("scenario")
    if other or not isinstance(found, list) or not all(isinstance(table, dict) for table in found) or not found:
        held = f"the key {other[0]!r}" if other else "no such table"
        raise SpecError(f"{path} holds {held}; a file of scenarios is made of [[scenario]] tables alone")
    try:
        return [scenario_from(table) for table in found]
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
