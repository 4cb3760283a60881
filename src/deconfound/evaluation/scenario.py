"""`Scenario`: which rows are evaluated, under which corruption, at which severities, how often."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from deconfound.data.splits import in_distribution
from deconfound.errors import SpecError, did_you_mean
from deconfound.io.python_file import load_class, placed
from deconfound.io.reading import read_toml
from deconfound.registry import construct, explain, names, validate_arguments, validate_for

if TYPE_CHECKING:
    from deconfound.corruption import Corruption
    from deconfound.data.dataset import Dataset


@dataclass(frozen=True)
class Scenario:
    """One test of a trained method: these rows, under this corruption.

    Args:
        name: predictions and records are kept under this name.
        split: split that the rows are from.
        where: column → value or list of values; only rows whose metadata agree are kept.
        corruption: None for the rows as they are, the name of a registered corruption, or a `Corruption`.
        arguments: arguments of a corruption that is given by name.
        severities: severities to evaluate; (0.0,) without a corruption.
        repeats: draws of the corruption per severity; severity 0 is drawn as often, so that all have one shape.
        present: modalities that are present, the others are absent in every row; empty for all.

    Raises:
        SpecError: arguments that contradict each other or are out of range.
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
            raise SpecError(
                f"scenario {self.name!r}: arguments go with the name of a corruption, not with an object; "
                "give them to the object"
            )

    @property
    def clean(self) -> bool:
        """True if the rows are as they are in the dataset."""
        return self.corruption is None and not self.present


def definition(scenario: Scenario) -> str:
    """The whole scenario as text; equal texts mean equal scenarios."""
    corruption = scenario.corruption
    if isinstance(corruption, str):
        corruption = f"{corruption} {validate_arguments('corruptions', corruption, scenario.arguments)}"
    parts = {"split": scenario.split, "where": dict(scenario.where), "present": sorted(scenario.present)}
    parts |= {"corruption": corruption and str(corruption), "severities": [float(s) for s in scenario.severities]}
    return json.dumps(parts | {"repeats": scenario.repeats}, sort_keys=True, default=str)


class SkippedScenarioWarning(UserWarning):
    """Scenarios that need a modality which a run does not use are not evaluated."""


def needed_modalities(scenario: Scenario) -> set[str]:
    """The modalities that a scenario names: those that are present, and those that its corruption is about."""
    corruption = scenario.corruption
    named = (
        scenario.arguments.get("modalities") if isinstance(corruption, str) else getattr(corruption, "modalities", ())
    )
    return {*scenario.present, *(named or ())}


def without_unused(
    scenarios: Sequence[Scenario], used: Collection[str], known: Collection[str]
) -> tuple[list[Scenario], list[Scenario]]:
    """Scenarios to evaluate, and those to skip since they need modalities of the data that a run does not use.

    Args:
        used: modalities of the run.
        known: all modalities of the data; a scenario that names yet another one is not skipped but refused later.
    """
    unused = set(known) - set(used)
    skipped = [scenario for scenario in scenarios if needed_modalities(scenario) & unused]
    return [scenario for scenario in scenarios if scenario not in skipped], skipped


def default_scenarios(dataset: Dataset, splits: Sequence[str] | None = None) -> list[Scenario]:
    """The scenarios that are evaluated unless a specification names others.

    - every split of `splits` as it is, under its own name;
    - on the in-distribution split, else on the first test split, else on "valid", else on "train", if it is one of
      `splits`: "gaussian" noise of 0.25, 0.5, 1 and 2 training standard deviations (where there are training rows); where
      there is a sequence, "drop-frames" with probability 0.1 to 0.9; three draws each;
    - on the same split "present=text+audio" for every proper subset of up to four modalities; of more than four, for each
      modality alone and each one missing.

    Args:
        splits: "valid" and every test split if left out.

    Raises:
        DataError: there is no such split.
        SpecError: only training rows, and `splits` is left out.
    """
    for name in splits or ():
        dataset.rows(name)
    named = tuple(dict.fromkeys(splits or [name for name in dataset.splits if name != "train"]))
    if not named:
        available = ", ".join(dataset.splits)
        raise SpecError(f"{dataset.name} has only the split {available}; evaluation needs 'valid' or a test split")
    split = _corrupted_split(dataset)
    clean = [Scenario(name, name) for name in named]
    return clean + _corruptions(dataset, split) if split in named else clean


def _corrupted_split(dataset: Dataset) -> str:
    """The same one whichever splits are named, since a scenario is kept under its name alone."""
    tests = dataset.test_splits
    return in_distribution(tests) or next(name for name in (*tests, "valid", "train") if name in dataset.splits)


def _corruptions(dataset: Dataset, split: str) -> list[Scenario]:
    scenarios, modalities = [], dataset.modalities
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


class _Table(BaseModel):
    """A scenario as it stands in a TOML file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    split: str
    where: dict[str, str | int | float | list[str | int | float]] = {}
    corruption: str | None = None
    python: str | None = None
    arguments: dict[str, Any] = {}
    severities: list[float] = [0.0]
    repeats: int = 1
    present: list[str] = []


def scenario_from(table: Mapping[str, Any], folder: Path = Path()) -> Scenario:
    """A scenario from one table of a TOML list:

        [[scenario]]
        name = "loud"
        split = "test"
        where = {room = ["street", "car"]}
        corruption = "gaussian"
        arguments = {modalities = ["audio"]}
        severities = [0.5, 1.0]
        repeats = 3

    In the place of the name of a corruption stands `python = "file.py:Class"` for one in a file, which is then run.

    Args:
        folder: that a relative path of such a file starts at.

    Raises:
        SpecError: a misspelt key, a value of the wrong type or range, an unknown corruption, or a wrong argument of it.
    """
    what = f"scenario {table['name']!r}" if isinstance(table.get("name"), str) else "a scenario"
    try:
        parsed = _Table(**table)
    except ValidationError as error:
        raise SpecError(f"{what}: {explain(error, _Table)}") from error
    if parsed.corruption is not None and parsed.python is not None:
        raise SpecError(f"{what}: corruption and python exclude each other; keep one")
    if parsed.corruption is not None:
        if parsed.corruption not in names("corruptions"):
            hint = did_you_mean(parsed.corruption, names("corruptions"))
            raise SpecError(f"{what}: there is no corruption {parsed.corruption!r}{hint}")
        validate_arguments("corruptions", parsed.corruption, parsed.arguments)
    values = parsed.model_dump(exclude={"python"})
    if parsed.python is not None:
        values |= {"corruption": _own_corruption(placed(parsed.python, folder), parsed.arguments), "arguments": {}}
    return Scenario(**values | {"severities": tuple(parsed.severities), "present": tuple(parsed.present)})


def _own_corruption(reference: str, arguments: Mapping[str, Any]) -> Corruption:
    from deconfound.corruption import Corruption

    component = load_class(reference, Corruption)
    return construct(component, validate_for(component, component.__name__, arguments))


def read_scenarios(path: str | Path) -> list[Scenario]:
    """Read the `[[scenario]]` tables of a TOML file, see `scenario_from`.

    Raises:
        SpecError: the file cannot be read, is not TOML or holds anything else; as `scenario_from`.
    """
    tables = read_toml(Path(path), "scenarios")
    other = [key for key in tables if key != "scenario"]
    rows = tables.get("scenario")
    if other or not isinstance(rows, list) or not all(isinstance(table, dict) for table in rows) or not rows:
        content = f"the key {other[0]!r}" if other else "no such table"
        raise SpecError(f"{path} holds {content}; a file of scenarios is made of [[scenario]] tables alone")
    try:
        return [scenario_from(table, Path(path).parent) for table in rows]
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
