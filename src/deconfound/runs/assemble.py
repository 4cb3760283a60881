"""Joining trained runs into an ensemble: a run directory that predicts the mean of its members."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.io.files import check_folder, write_json
from deconfound.runs.csv_log import HEADER
from deconfound.runs.derive import derived_environment, derived_folder, validation_risk
from deconfound.runs.members import ENSEMBLE, MEMBERS, Member, digest_of, read_members
from deconfound.runs.run import Run
from deconfound.runs.run_files import check_run
from deconfound.runs.spec import flat
from deconfound.runs.trained import weights_path

_COPIED = ("spec.json", "environment.json", "done.json", "log.csv")
_PLACES = ("data.store",)
"""Fields of [data] that may differ between members, since checksums say whether the rows are the same."""


def ensemble(
    runs: Sequence[Run | str | Path], out: str | Path, *, name: str | None = None, dataset: Dataset | None = None
) -> Run:
    """Join finished runs, such as several seeds of one method, into one model that predicts their mean.

    The folder is a run like any other: it holds copies of its members and is evaluated, tabulated, reported and opened
    as one model. The mean is of probabilities, or of the predictions of a regression. Only validation rows are predicted
    here.

    Args:
        runs: two or more, trained on the same data, rows, modalities and task; their methods may differ.
        out: the folder of the ensemble.
        name: label in reports; "erm ×3" if left out.
        dataset: the data of the runs, if their specifications do not name them or they moved.

    Returns:
        the ensemble; one that an earlier call made of the same runs is returned as it is.

    Raises:
        RunError: a run is not finished, is an ensemble, or was trained on other data; two have the same weights; or the
            folder holds something else.
    """
    members = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    out = Path(out)
    listed = _checked(members)
    title = name or _title([run.spec.title for run in members])
    if (out / ENSEMBLE).is_file():
        return _known(out, listed, title)
    check_folder(out, "ensemble", ENSEMBLE)
    development = members[0].dataset(dataset).development()
    with derived_folder(out) as scratch:
        _write(scratch, out, members, listed, title, development)
    return Run.open(out, method=members[0].code.method, encoders=members[0].code.encoders)


def _write(
    folder: Path, out: Path, runs: Sequence[Run], listed: Sequence[Member], title: str, development: Dataset
) -> None:
    """Write a whole ensemble into a folder that will become `out`."""
    for run, member in zip(runs, listed, strict=True):
        _copy(run, folder / MEMBERS / member.name)
    write_json(folder / ENSEMBLE, {"members": [member.model_dump() for member in listed]})
    (folder / "log.csv").write_text(",".join(HEADER) + "\n", encoding="utf-8")
    spec = runs[0].spec.model_copy(update={"name": title})
    write_json(folder / "spec.json", spec.dump())
    write_json(folder / "environment.json", derived_environment(runs[0]))
    done = _summary([run.done or {} for run in runs], title)
    write_json(folder / "done.json", done)  # a method is read from a finished run alone
    risk = validation_risk(Run(folder, spec, runs[0].environment, runs[0].code), out, development)
    write_json(folder / "done.json", {**done, "best_risk": risk})


def _checked(runs: Sequence[Run]) -> list[Member]:
    """The members as the ensemble will name them.

    Raises:
        RunError: they do not belong together.
    """
    if len(runs) < 2:
        raise RunError(f"an ensemble needs two or more runs; got {len(runs)}: name another seed of the same method")
    first, members = runs[0], []
    for run in runs:
        check_run(run.path, finished=True)
        if read_members(run.path):
            raise RunError(f"{run.path} is an ensemble itself; name its members, the folders in {run.path / MEMBERS}")
        difference = _difference(first, run)
        if difference:
            raise RunError(f"{run.path} does not belong to an ensemble with {first.path}: {difference}; leave one out")
        weights = digest_of(weights_path(run.path, run.spec))
        twin = next((other.name for other in members if other.weights == weights), None)
        if twin is not None:
            raise RunError(f"{run.path} has the same weights as {twin}; name each run once")
        taken = [member.name for member in members]
        folder = run.path.resolve().name
        number = next(n for n in range(1, len(taken) + 2) if (f"{folder}-{n}" if n > 1 else folder) not in taken)
        unique = f"{folder}-{number}" if number > 1 else folder
        members.append(Member(name=unique, method=run.spec.title, seed=run.spec.seed, weights=weights))
    return members


def _difference(first: Run, other: Run) -> str | None:
    """What keeps two runs apart, in words."""
    if other.checksum != first.checksum:
        return "it was trained on other data (the checksums differ)"
    if other.modalities != first.modalities:
        return f"it was trained on {', '.join(other.modalities)}, the other on {', '.join(first.modalities)}"
    if other.task != first.task:
        return "it predicts another task"
    mine, theirs = (flat({"data": run.spec.dump()["data"]}) for run in (first, other))
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in _PLACES and mine.get(name) != theirs.get(name):
            return f"{name} is {theirs.get(name)!r} there and {mine.get(name)!r} here"
    return None


def _title(labels: Sequence[str]) -> str:
    """Such as "erm ×3", or "erm ×2 + cmir" """
    counts = {label: labels.count(label) for label in labels}
    return " + ".join(label if count == 1 else f"{label} ×{count}" for label, count in counts.items())


def _known(out: Path, listed: Sequence[Member], title: str) -> Run:
    run = Run.open(out)
    if [member.weights for member in read_members(out)] != [member.weights for member in listed]:
        raise RunError(f"{out} is an ensemble of other runs; choose another folder")
    if run.spec.title != title:
        raise RunError(f"{out} is the ensemble {run.spec.title!r}, not {title!r}; choose another folder")
    return run


def _copy(run: Run, folder: Path) -> None:
    weights = weights_path(run.path, run.spec)
    (folder / weights.parent.name).mkdir(parents=True)
    for file in _COPIED:
        shutil.copyfile(run.path / file, folder / file)
    shutil.copyfile(weights, folder / weights.parent.name / weights.name)


def _summary(done: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """done.json of an ensemble: the sums over its members, and the longest of their trainings."""
    return {
        "epochs": max(one["epochs"] for one in done),
        "steps": sum(one["steps"] for one in done),
        "best_epoch": max(one["best_epoch"] for one in done),
        "best_risk": 0.0,
        "notes": [f"{title}: an ensemble of {len(done)} runs; costs are sums over them"],
        "seconds": round(sum(one["seconds"] for one in done), 3),
        "parameters": sum(one["parameters"] for one in done),
    }
