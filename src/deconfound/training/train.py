"""Training a specification into a run directory: started, resumed or found finished by the same call."""

from __future__ import annotations

import copy
import json
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.trainer.states import TrainerStatus
from torch import nn

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.metrics import protocol_of
from deconfound.evaluation.records import VARIANTS
from deconfound.io.files import atomic_write
from deconfound.io.lock import exclusive_lock
from deconfound.method import Method
from deconfound.nn.standardise import training_scale
from deconfound.runs.checkpoint import SafeCheckpointIO, read_checkpoint
from deconfound.runs.run import Run, apply_data_spec, build_method, load_data
from deconfound.runs.spec import Spec, TrainSpec
from deconfound.training.csv_logger import CurveLog
from deconfound.training.learner import SELECTION, Learner
from deconfound.training.loaders import derive_seed
from deconfound.training.trainer import (
    SafeCheckpoint,
    make_trainer,
    quiet_lightning,
    rank,
    standard_callbacks,
    thread_count,
)

WAIT = 60.0
"""Seconds that the other processes of a run wait for the first one to begin it."""

_REPORTED = ("deconfound", "torch", "lightning", "numpy", "scikit-learn")


def train_run(
    spec: Spec,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    encoders: Mapping[str, nn.Module] | None = None,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train, or go on where an earlier call was stopped; a finished run is returned as it is.

    Args:
        out: the run directory; made if it does not exist.
        dataset: replaces what the specification names under [data].
        encoders: modules for the modalities whose encoder is {"python": CLASS}.
        loggers: further Lightning loggers.
        callbacks: further Lightning callbacks, such as one that gives a run up by raising.
        progress: draw a progress bar; by default on a terminal only.

    Raises:
        SpecError: a part that does not exist or does not fit the data, or a machine without what [train] asks for.
        DataError: the task's protocol does not exist or judges another kind of task; as after a SpecError, nothing was
            written.
        RunError: the directory holds another specification or other data, is being written by another process, cannot be
            written, or the loss became infinite.
        KeyboardInterrupt: Ctrl-C; the same call resumes.
    """
    out, spec = Path(out), Spec.of(spec.dump())  # a copy with another seed has not been checked
    whole = dataset if dataset is not None else load_data(spec.data)
    development = apply_data_spec(whole, spec.data).development()
    first = _take_place(out, spec.train) == 0
    if first and not (out / "spec.json").is_file():
        _rehearse(spec, development, encoders)
    _claim(out, spec)
    with exclusive_lock(out) if first else nullcontext():
        _prepare(out, spec, whole, development)
        run = Run.open(out)
        if run.done is None:
            with quiet_lightning(), thread_count(spec.train.threads), torch.random.fork_rng():
                torch.manual_seed(derive_seed(spec.seed, -1))
                method = build_method(spec, development.modalities, development.task, encoders, run.environments)
                method.backbone.set_scale(training_scale(development))
                shown = sys.stdout.isatty() if progress is None else progress
                _fit(run, method, development, loggers, callbacks, shown)
    return run


def _take_place(out: Path, train: TrainSpec) -> int:
    """Number of this process among those that train the run; all but the first wait until the first has begun it."""
    if (train.processes > 1 or rank() > 0) and not (out / "done.json").is_file():
        with quiet_lightning():
            make_trainer(train, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    until = time.monotonic() + WAIT
    while rank() > 0 and not (out / "spec.json").is_file():
        if time.monotonic() > until:
            raise RunError(
                f"process {rank()} of {train.processes} waited {WAIT:g} s for the first one to begin {out}; see what that "
                "one reports, and that all nodes share the folder"
            )
        time.sleep(0.05)
    return rank()


def _rehearse(spec: Spec, development: Dataset, encoders: Mapping[str, nn.Module] | None) -> None:
    """Build once what training needs, so that a mistake is told before a folder is bound to it."""
    train = spec.train
    protocol_of(development.task.protocol, development.task.kind)
    with quiet_lightning(), torch.random.fork_rng():
        count = len(development.groups(*development.environment)[1])
        build_method(spec, development.modalities, development.task, encoders, count).hooks.check(development)
        make_trainer(train, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    rows = len(development.splits["train"])
    if rows <= (train.processes - 1) * train.batch_size:
        raise SpecError(
            f"train.devices = {train.devices}, nodes = {train.nodes}: {rows} training rows in batches of "
            f"{train.batch_size} do not give each device one; lower them or train.batch_size"
        )


def _claim(out: Path, spec: Spec) -> None:
    """Make the directory, or make sure that it is this specification's."""
    if (out / "spec.json").is_file():
        difference = Run.open(out).spec.difference(spec)
        if difference:
            raise RunError(f"{out} holds a run of another specification ({difference}); choose another folder")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        strangers = [entry.name for entry in out.iterdir() if entry.name != "environment.json" and entry.name[0] != "."]
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}; choose a folder you may write to") from error
    if strangers:
        raise RunError(f"{out} is not empty and not a run (it holds {strangers[0]!r}); choose another folder")


def _prepare(out: Path, spec: Spec, whole: Dataset, development: Dataset) -> None:
    """Write what is known before training, the specification last; or check that the data are still the same."""
    if (out / "spec.json").is_file():
        if Run.open(out).environment["data"]["checksum"] != whole.checksum:
            raise RunError(f"{out} was begun on other data (the checksums differ); choose another folder")
        return
    environment = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _REPORTED}},
        "platform": platform.platform(),
        "threads": spec.train.threads or torch.get_num_threads(),
        "git": _git_state(),
        "data": {
            "name": whole.name,
            "checksum": whole.checksum,
            "splits": {name: len(rows) for name, rows in whole.splits.items()},
            "environments": len(development.groups(*development.environment)[1]),
            "modalities": {m.name: {"steps": m.steps, "shape": m.shape} for m in development.modalities.values()},
            "task": asdict(whole.task),
        },
    }
    _write_json(out / "environment.json", environment)
    _write_json(out / "spec.json", spec.dump())


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(values, file, indent=1)


def _git_state() -> dict[str, Any] | None:
    """Commit and cleanliness of the working folder, None outside a repository."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _fit(
    run: Run,
    method: Method,
    data: Dataset,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
    progress: bool,
) -> None:
    train, folder = run.spec.train, run.path / "checkpoints"
    last = folder / "last.safetensors"
    resume = last if last.is_file() else None
    finished = read_checkpoint(last)["epoch"] + 1 if resume else 0
    if not resume:  # what earlier weights said must not pass for what these will say
        shutil.rmtree(run.path / "predictions", ignore_errors=True)
        (run.path / "records.jsonl").unlink(missing_ok=True)
        (run.path / VARIANTS).unlink(missing_ok=True)
    whole = copy.deepcopy(method) if train.strategy == "fsdp" else method  # sharding takes the weights apart for good
    learner = Learner(method, data, train, run.spec.seed)
    own = standard_callbacks(folder, train, progress)
    trainer = make_trainer(
        train,
        logger=[CurveLog(run.path / "log.csv", finished), *loggers],
        callbacks=[*own, *callbacks],
        plugins=[SafeCheckpointIO()],
        enable_progress_bar=progress,
        default_root_dir=run.path,
    )
    began = time.monotonic()
    try:
        trainer.fit(learner, ckpt_path=resume)
    except SystemExit as error:  # how the engine ends after Ctrl-C
        if trainer.state.status != TrainerStatus.INTERRUPTED:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from error
    if rank() == 0:
        seconds = time.monotonic() - began
        run.validate(run.kept(whole.cpu()), data)
        _finish(run, trainer, seconds, whole)
    trainer.strategy.barrier()  # the other processes read what the first one wrote


def _finish(run: Run, trainer: Trainer, seconds: float, method: Method) -> None:
    names = (run.spec.train.keep, "last")
    kept, last = (read_checkpoint(run.path / "checkpoints" / f"{name}.safetensors") for name in names)
    watchers = [each for each in trainer.checkpoint_callbacks if isinstance(each, SafeCheckpoint)]
    best = next((each.best_model_score for each in watchers if each.monitor == SELECTION), None)
    done = {
        "epochs": last["epoch"] + 1,
        "steps": trainer.global_step,
        "best_epoch": kept["epoch"],
        "best_risk": float(trainer.callback_metrics[SELECTION] if best is None else best),
        "notes": list(method.hooks.summary_lines()),
        "seconds": round(seconds, 3),
        "parameters": sum(p.numel() for p in method.parameters()),
    }
    _write_json(run.path / "done.json", done)
