"""The results in a run directory, read from JSON and CSV alone: every field is checked and nothing is executed."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deconfound.errors import RunError
from deconfound.evaluation.records import VARIANTS, Record, read_records
from deconfound.io.limits import LARGEST
from deconfound.io.reading import object_of, parse_json, read_text, reading
from deconfound.method_names import ADDED, method_title
from deconfound.results.fold_result import FoldResult, read_fold
from deconfound.runs.csv_log import read_log
from deconfound.runs.run_files import RUN

TEST_ACCESS_LOGS = ("openings.jsonl", "test_access.jsonl")
"""Names of the log of test access: of runs before 0.2, and of runs since."""


@dataclass(frozen=True)
class CorpusResult:
    """A corpus other than the training data: its name, and the checksum of its rows."""

    name: str
    checksum: str


@dataclass(frozen=True)
class RunResult:
    """One trained run on one corpus that it was evaluated on.

    Args:
        folder: name of its directory.
        label: the specification's name, else the method's.
        method: registered name of the method.
        dataset: name of the data it was trained on.
        checksum: of that data.
        splits: split → number of rows of the evaluated corpus, in the order of the data.
        modalities: those it was trained on, with their form: "audio (30 × 5)".
        inputs: modality → features per step, 1 for tokens.
        best_epoch: epoch whose weights were kept.
        curves: (split, term) → epoch → mean over the epoch's logged steps.
        test_accesses: the command of each time that test rows of the evaluated corpus were predicted.
        directory: where its predictions are: the run's directory as the user named it, or a folder in it for another corpus.
        rule: by which a sweep chose this run's hyper-parameters; "" where no sweep did.
        budget: the candidates of that choice, such as "3 draws judged by 1 of 5 seeds"; "" where it is unknown.
        variant: name of the other prediction of the same model that this is about; "" for the method's own.
        corpus: the evaluated corpus; None for the training data.
        fold: the fold that the training data are; None where they are none.
    """

    folder: str
    label: str
    method: str
    seed: int
    modalities: tuple[str, ...]
    dataset: str
    checksum: str
    splits: Mapping[str, int]
    epochs: int
    best_epoch: int
    best_risk: float
    seconds: float
    parameters: int
    spec: Mapping[str, Any]
    environment: Mapping[str, Any]
    curves: Mapping[tuple[str, str], Mapping[int, float]]
    records: tuple[Record, ...]
    test_accesses: tuple[str, ...] = ()
    directory: Path = Path()
    rule: str = ""
    budget: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    variant: str = ""
    corpus: CorpusResult | None = None
    fold: FoldResult | None = None

    @property
    def evaluated_on(self) -> str:
        """Name of the evaluated corpus."""
        return self.dataset if self.corpus is None else self.corpus.name

    @property
    def home(self) -> Path:
        """The run's own directory."""
        return self.directory if self.corpus is None else self.directory.parent.parent


def read_run(path: Path, rule: str = "", budget: str = "") -> RunResult:
    """Read spec.json, environment.json, log.csv, done.json, records.jsonl and test_access.jsonl of a run directory.

    Args:
        rule: rule by which a sweep chose this run; "" where no sweep did.
        budget: candidates of that choice, in words.

    Raises:
        RunError: a file is missing or is not what training and evaluation write.
    """
    with reading(path, RUN):
        is_folder = path.is_dir()
    if not is_folder:
        raise RunError(f"{path} is not a run directory; give one that 'deconfound train' made")
    spec, environment = read_object(path / "spec.json"), read_object(path / "environment.json")
    done = read_object(path / "done.json", "training has not finished; run 'deconfound train' again to resume")
    curves = _curves(path / "log.csv")
    records = checked_records(path / "records.jsonl")
    try:
        data = environment["data"]
        method = text_of(spec["method"]["name"])
        title = method_title(method, spec["method"], *(spec["method"].get(kind, {}) for kind in ADDED))
        return RunResult(
            folder=path.resolve().name,
            label=text_of(spec["name"]) if spec.get("name") else title,
            method=method,
            seed=integer_of(spec["seed"]),
            modalities=tuple(_modality(name, form) for name, form in data["modalities"].items()),
            dataset=text_of(data["name"]),
            checksum=text_of(data["checksum"]),
            splits={name: integer_of(rows) for name, rows in data["splits"].items()},
            epochs=integer_of(done["epochs"]),
            best_epoch=integer_of(done["best_epoch"]),
            best_risk=number_of(done["best_risk"]),
            seconds=number_of(done["seconds"]),
            parameters=integer_of(done["parameters"]),
            spec=spec,
            environment=environment,
            curves=curves,
            records=records,
            test_accesses=logged_accesses(path, text_of(data["checksum"]), own=True),
            directory=path,
            rule=rule,
            budget=budget,
            inputs={name: math.prod(map(integer_of, form["shape"])) for name, form in data["modalities"].items()},
            fold=read_fold(data.get("fold")),
        )
    except KeyError as error:
        raise RunError(f"{path} is damaged: its JSON files have no {error}; train again") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is damaged ({_line(error)}); train again") from error


def with_variants(run: RunResult) -> list[RunResult]:
    """The run, and one more for each other prediction of its model that was measured, without learning curves.

    Raises:
        RunError: a damaged variants.jsonl, or records of another method in it.
    """
    path = run.directory / VARIANTS
    by_variant: dict[str, list[Record]] = {}
    for record in checked_records(path) if path.is_file() else ():
        match = re.fullmatch(re.escape(run.label) + r" \[(.+)\]", record.method)
        if match is None:
            raise RunError(
                f"{path} holds a record of {record.method!r}, not of {run.label!r}; remove it and evaluate again"
            )
        by_variant.setdefault(match[1], []).append(record)
    others = [
        replace(run, label=f"{run.label} [{name}]", variant=name, records=tuple(records), curves={}, test_accesses=())
        for name, records in by_variant.items()
    ]
    return [run, *others]


def _read(path: Path, absent: str) -> str:
    with reading(path, RUN):
        if not path.exists():
            raise RunError(f"{path} does not exist: {absent}")
        return read_text(path, RUN)


def read_object(path: Path, absent: str = "give a run directory that 'deconfound train' made") -> dict[str, Any]:
    """The JSON object in a file."""
    text = _read(path, absent)
    with reading(path, RUN):
        return object_of(parse_json(text))


def checked_records(path: Path) -> tuple[Record, ...]:
    """The records in a file, one or more, each measured once; RunError for anything else."""
    records = tuple(read_records(path))
    if not records:
        raise RunError(f"{path} holds no record: the run has not been evaluated; run 'deconfound evaluate' first")
    keys = {
        (r.run, r.method, r.dataset, r.seed, r.scenario, r.split, r.severity, r.repeat, r.group, r.protocol, r.metric)
        for r in records
    }
    if len(keys) < len(records):
        raise RunError(f"{path} holds the same measurement twice; remove the file and evaluate the run again")
    try:
        "".join(f"{r.dataset}{r.scenario}{r.split}{r.group}{r.protocol}{r.metric}" for r in records).encode()
    except UnicodeEncodeError as error:
        raise RunError(f"{path} is damaged: it holds half a character; evaluate the run again") from error
    return records


def logged_accesses(path: Path, checksum: str, *, own: bool) -> tuple[str, ...]:
    """Commands in the logs of test access that are about one corpus; `own` ones may not name it."""
    return tuple(
        command
        for name in TEST_ACCESS_LOGS
        for logged, command in _logged_commands(path / name)
        if logged == checksum or (own and logged is None)
    )


def _logged_commands(path: Path) -> tuple[tuple[Any, str], ...]:
    """(checksum, command) of each line."""
    lines = _read(path, "").splitlines() if path.exists() else []
    try:
        accesses = [object_of(parse_json(line)) for line in lines if line.strip()]
        return tuple((access.get("checksum"), command_line(access.get("command"))) for access in accesses)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({_line(error)}); remove what is not a line of JSON") from error


def command_line(words: Any) -> str:
    """A recorded command as one would type it, the program without its folder; "" for anything else."""
    if not isinstance(words, list) or not words:
        return ""
    return shlex.join([Path(str(words[0])).name, *map(str, words[1:])])[:400]


def _curves(path: Path) -> dict[tuple[str, str], dict[int, float]]:
    """(split, term) → epoch → mean; NaN where a value is not finite or its sum might not be."""
    logged: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in read_log(path):
        logged.setdefault((row["split"], row["term"]), {}).setdefault(row["epoch"], []).append(row["value"])
    return {
        curve: {
            epoch: math.fsum(values) / len(values) if all(abs(value) < LARGEST for value in values) else math.nan
            for epoch, values in epochs.items()
        }
        for curve, epochs in logged.items()
    }


def _modality(name: str, form: Mapping[str, Any]) -> str:
    """A modality in words: "audio (30 × 5)", the steps left out where there is one."""
    steps, shape = integer_of(form["steps"]), [integer_of(size) for size in form["shape"]]
    return f"{text_of(name)} ({' × '.join(map(str, [steps, *shape] if steps > 1 else shape))})"


def text_of(value: Any) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not text")
    return value


def number_of(value: Any) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise TypeError(f"{value!r:.40} is not a finite number")
    return float(value)


def integer_of(value: Any) -> int:
    """The value, if it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise TypeError(f"{value!r:.40} is not a whole number")
    return value


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
