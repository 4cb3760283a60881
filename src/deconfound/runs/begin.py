"""Beginning a run directory: whether a folder may become one, and what is written before the first training step."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import torch

from deconfound.data.dataset import Dataset
from deconfound.datasets.folds import fold_of
from deconfound.errors import RunError
from deconfound.io.files import check_folder, write_json
from deconfound.runs.build import with_budget
from deconfound.runs.own_code import check_code, code_files
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec

_REPORTED = ("deconfound", "torch", "lightning", "numpy", "scikit-learn")


def find_run(out: Path, spec: Spec, whole: Dataset) -> Run | None:
    """The run that the folder holds, or None if it is free for a new one. Nothing is written.

    Args:
        whole: the dataset of the specification, all splits and modalities.

    Raises:
        RunError: the folder holds a run of another specification or other data, or files that are not a run.
    """
    if (out / "spec.json").is_file():
        run = Run.open(out)
        difference = run.spec.difference(with_budget(spec, whole))
        if difference:
            raise RunError(f"{out} holds a run of another specification ({difference}); choose another folder")
        if run.environment["data"]["checksum"] != whole.checksum:
            raise RunError(f"{out} was begun on other data (the checksums differ); choose another folder")
        check_code(spec, run.environment.get("code", {}), out)
        return run
    check_folder(out, "run", "spec.json", ignored=("environment.json",))
    return None


def free_folder(spec: Spec, whole: Dataset, *, fresh: bool, parent: Path = Path("runs")) -> Path:
    """A folder that a run may have: a new one, or that of an earlier call with the same specification and data.

    Args:
        fresh: take no folder that holds anything.
        parent: the folder of all runs.
    """
    words = re.sub(r"[^a-z0-9]+", "-", f"{whole.name} {spec.title} {spec.seed}".lower()).strip("-")
    for number in count(1):
        folder = parent / (words if number == 1 else f"{words}-{number}")
        if fresh and folder.exists():
            continue
        try:
            find_run(folder, spec, whole)
        except RunError:
            continue
        return folder
    raise AssertionError("count has no end")


def begin_run(out: Path, spec: Spec, whole: Dataset, development: Dataset) -> Run:
    """Write what is known before training, the specification last; or open what an earlier call began.

    Args:
        whole: the dataset of the specification, all splits and modalities.
        development: the training and validation rows as the method sees them.

    Raises:
        RunError: as `find_run`, or the files cannot be written.
    """
    begun = find_run(out, spec, whole)
    if begun is not None:
        return begun
    environment = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _REPORTED}},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "git": _git_state(),
        "code": code_files(spec),
        "data": {
            "name": whole.name,
            "checksum": whole.checksum,
            "splits": {name: len(rows) for name, rows in {**whole.splits, **development.splits}.items()},
            "environments": len(development.groups(*development.environment)[1]),
            "modalities": {m.name: {"steps": m.steps, "shape": m.shape} for m in development.modalities.values()},
            "repairs": {
                name: development.provenance.get("masks", {}).get(name, {}).get("repair")
                for name in development.signals
            },
            "columns": dict(development.provenance.get("columns", {})),
            "target": whole.provenance.get("target"),
            "fold": fold_of(whole),
            "preparations": {
                name: notes["preparation"]
                for name, notes in development.provenance.get("masks", {}).items()
                if name in development.signals and "preparation" in notes
            },
            "task": asdict(whole.task),
            "class_counts": _class_counts(development),
        },
    }
    write_json(out / "environment.json", environment)
    write_json(out / "spec.json", spec.dump())
    return Run.open(out)


def _class_counts(development: Dataset) -> list[int] | None:
    """Number of training rows of each class; None where rows have no class."""
    rows = development.rows("train")
    if development.task.kind != "classification":
        return None
    return torch.bincount(development.target[rows.start : rows.stop], minlength=development.task.outputs).tolist()


def _git_state() -> dict[str, Any] | None:
    """Commit and cleanliness of the working folder, None outside a repository."""

    def git(*words: str) -> str:
        finished = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)
        return finished.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
