"""Training a specification into a run directory: started, resumed or found finished by the same call."""

from __future__ import annotations

import copy
import platform
import shutil
import signal
import subprocess
import sys
import time
import warnings
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

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.records import VARIANTS
from deconfound.io.files import write_json
from deconfound.io.folders import claim_folder
from deconfound.io.lock import exclusive_lock
from deconfound.io.threads import cpu_threads
from deconfound.method import Method
from deconfound.nn.own_encoders import OwnEncoder
from deconfound.protocol import protocol_of
from deconfound.runs.build import apply_data_spec, build_method, load_data, set_scales
from deconfound.runs.checkpoint import read_checkpoint
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec, TrainSpec
from deconfound.training.best_epoch import EpochWarning, epoch_advice
from deconfound.training.checkpoint_io import SafeCheckpointIO
from deconfound.training.csv_logger import CurveLog
from deconfound.training.learner import SELECTION, Learner
from deconfound.training.loaders import derive_seed
from deconfound.training.trainer import (
    SafeCheckpoint,
    make_trainer,
    process_rank,
    quiet_lightning,
    standard_callbacks,
)

WAIT = 60.0
"""Seconds that the other processes of a run wait for the first one to begin it."""

_REPORTED = ("deconfound", "torch", "lightning", "numpy", "scikit-learn")


def train_run(
    spec: Spec,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train, or go on where an earlier call was stopped; a finished run is returned as it is.

    Args:
        out: the run directory; made if it does not exist.
        dataset: replaces what the specification names under [data].
        encoders: as for `fit`, for the modalities whose encoder is {"python": CLASS}.
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

    Warns `training.best_epoch.EpochWarning` where the best epoch is the first or the last one; the notes of the run keep it.
    """
    out, spec = Path(out), Spec.of(spec.dump())  # a copy with another seed has not been checked
    whole = dataset if dataset is not None else load_data(spec.data)
    development = apply_data_spec(whole, spec.data).development()
    is_first = _join_processes(out, spec.train) == 0
    _check_specification(out, spec)
    with quiet_lightning(), cpu_threads(spec.train.threads), torch.random.fork_rng():
        method = None
        if not (out / "done.json").is_file():
            torch.manual_seed(derive_seed(spec.seed, -1))
            method = _fresh_method(spec, development, encoders, check=is_first and not (out / "spec.json").is_file())
        claim_folder(out, "run", "spec.json", ignored=("environment.json",))
        with exclusive_lock(out) if is_first else nullcontext():
            _write_beginning(out, spec, whole, development)
            run = Run.open(out)
            if run.done is None:
                assert method is not None, "an unfinished run has its method"
                set_scales(method, development)
                show_progress = sys.stdout.isatty() if progress is None else progress
                _fit(run, method, development, loggers, callbacks, show_progress)
    return run


def _join_processes(out: Path, train: TrainSpec) -> int:
    """Number of this process among those that train the run; all but the first wait until the first has begun it."""
    if (train.processes > 1 or process_rank() > 0) and not (out / "done.json").is_file():
        with quiet_lightning():
            make_trainer(train, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    until = time.monotonic() + WAIT
    while process_rank() > 0 and not (out / "spec.json").is_file():
        if time.monotonic() > until:
            raise RunError(
                f"process {process_rank()} of {train.processes} waited {WAIT:g} s for the first one to begin {out}; see "
                "what that one reports, and that all nodes share the folder"
            )
        time.sleep(0.05)
    return process_rank()


def _fresh_method(
    spec: Spec, development: Dataset, encoders: Mapping[str, OwnEncoder] | None, *, check: bool
) -> Method:
    """The method with its initial weights; with `check`, what training needs is tried before anything is written."""
    if check:
        protocol_of(development.task.protocol, development.task.kind)
    environments = len(development.groups(*development.environment)[1])
    method = build_method(spec, development.modalities, development.task, encoders, environments)
    if check:
        method.hooks.check(development)
        make_trainer(spec.train, logger=False, enable_checkpointing=False, enable_progress_bar=False)
        _check_rows(len(development.splits["train"]), spec.train)
    return method


def _check_rows(rows: int, train: TrainSpec) -> None:
    if rows <= (train.processes - 1) * train.batch_size:
        raise SpecError(
            f"train.devices = {train.devices}, nodes = {train.nodes}: {rows} training rows in batches of "
            f"{train.batch_size} do not give each device one; lower them or train.batch_size"
        )


def _check_specification(out: Path, spec: Spec) -> None:
    """Refuse a folder that holds the run of another specification."""
    if not (out / "spec.json").is_file():
        return
    difference = Run.open(out).spec.difference(spec)
    if difference:
        raise RunError(f"{out} holds a run of another specification ({difference}); choose another folder")


def _write_beginning(out: Path, spec: Spec, whole: Dataset, development: Dataset) -> None:
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
    write_json(out / "environment.json", environment)
    write_json(out / "spec.json", spec.dump())


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
    kept = read_checkpoint(last) if resume else {"epoch": -1, "state_dict": {}}
    if resume and {name.removeprefix("method.") for name in kept["state_dict"]} != set(method.state_dict()):
        raise run.misfit()
    if not resume:  # what earlier weights said must not pass for what these will say
        shutil.rmtree(run.path / "predictions", ignore_errors=True)
        (run.path / "records.jsonl").unlink(missing_ok=True)
        (run.path / VARIANTS).unlink(missing_ok=True)
    whole = copy.deepcopy(method) if train.strategy == "fsdp" else method  # sharding takes the weights apart for good
    learner = Learner(method, data, train, run.spec.seed)
    own = standard_callbacks(folder, train, progress)
    trainer = make_trainer(
        train,
        logger=[CurveLog(run.path / "log.csv", kept["epoch"] + 1), *loggers],
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
    if process_rank() == 0:
        seconds = time.monotonic() - began
        run.validate(run.kept(whole.cpu()), data)
        _finish(run, trainer, seconds, whole)
    trainer.strategy.barrier()  # the other processes read what the first one wrote


def _finish(run: Run, trainer: Trainer, seconds: float, method: Method) -> None:
    names = (run.spec.train.keep, "last")
    kept, last = (read_checkpoint(run.path / "checkpoints" / f"{name}.safetensors") for name in names)
    watchers = [each for each in trainer.checkpoint_callbacks if isinstance(each, SafeCheckpoint)]
    best = next((each.best_model_score for each in watchers if each.monitor == SELECTION), None)
    advice = epoch_advice(kept["epoch"], run.spec.train.epochs) if run.spec.train.keep == "best" else None
    if advice is not None:
        warnings.warn(advice, EpochWarning, stacklevel=2)
    done = {
        "epochs": last["epoch"] + 1,
        "steps": trainer.global_step,
        "best_epoch": kept["epoch"],
        "best_risk": float(trainer.callback_metrics[SELECTION] if best is None else best),
        "notes": [*method.hooks.summary_lines(), *([] if advice is None else [advice])],
        "seconds": round(seconds, 3),
        "parameters": sum(p.numel() for p in method.parameters()),
    }
    write_json(run.path / "done.json", done)
