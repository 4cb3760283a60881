"""Training a specification into a run directory; the same call starts, resumes or returns a run."""

from __future__ import annotations

import copy
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.trainer.states import TrainerStatus

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.records import VARIANTS
from deconfound.io.files import make_folder, write_json
from deconfound.io.lock import exclusive_lock
from deconfound.io.threads import cpu_threads
from deconfound.method import Method
from deconfound.nn.own_encoders import OwnEncoder
from deconfound.protocol import protocol_of
from deconfound.runs.begin import begin_run, find_run
from deconfound.runs.build import apply_data_spec, budget_notes, build_method, load_data, set_scales, with_budget
from deconfound.runs.checkpoint import put_weights, read_checkpoint, stored_weights
from deconfound.runs.code import OwnCode
from deconfound.runs.own_code import OwnMethod
from deconfound.runs.run import Run
from deconfound.runs.run_evaluation import validate_run
from deconfound.runs.spec import Spec, TrainSpec
from deconfound.training.averaging import AveragedWeights, check_averaging
from deconfound.training.balance import balanced_cells
from deconfound.training.best_epoch import EpochWarning, epoch_advice
from deconfound.training.fit_at_once import fit_at_once
from deconfound.training.learner import RISK, Learner, score_name
from deconfound.training.loaders import derive_seed
from deconfound.training.row_weights import check_weighs_rows, row_weights
from deconfound.training.run_writers import CsvLogger, SafeCheckpointIO, SessionClock
from deconfound.training.trainer import (
    KeepBest,
    bar_on_terminal,
    make_trainer,
    process_rank,
    quiet_lightning,
    standard_callbacks,
)

WAIT = 60.0
"""Seconds that the other processes of a run wait for the first one to begin it."""


def train_run(
    spec: Spec,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    method: OwnMethod | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train, or resume where an earlier call was stopped; a finished run is returned as it is.

    Args:
        out: the run directory; made if it does not exist.
        dataset: replaces what the specification names under [data].
        method: as for `fit`, where the method is {"python": CLASS} of a class in memory.
        encoders: as for `fit`, for the modalities whose encoder is {"python": CLASS}.
        loggers: further Lightning loggers.
        callbacks: further Lightning callbacks, such as one that stops a run by raising.
        progress: draw a progress bar; by default on a terminal only.

    Raises:
        SpecError: a component does not exist or does not fit the data, or this machine lacks what [train] asks for.
        StoreError: a byte of the store differs from what was written.
        DataError: the task's protocol does not exist or judges another kind of task. As after a SpecError, nothing was
            written.
        RunError: the directory belongs to another specification or other data, is being written by another process or
            cannot be written, or the loss became infinite.
        KeyboardInterrupt: Ctrl-C; the same call resumes.

    Warns `training.best_epoch.EpochWarning` where the best epoch is the first or the last one; the notes of the run keep it.
    """
    out, spec = Path(out), Spec.of(spec.dump())  # a copy with another seed has not been checked
    code = OwnCode(method, encoders or {})
    whole = load_data(spec.data, dataset)
    development = apply_data_spec(whole, spec.data).development()
    notes = budget_notes(spec.train, len(development.splits["train"]))
    spec = with_budget(spec, whole)
    first = _wait_for_first_process(out, spec.train) == 0
    show_progress = sys.stdout.isatty() if progress is None else progress
    begun = find_run(out, spec, whole)
    if begun is not None and begun.done is not None:
        return replace(begun, code=code)
    with quiet_lightning(), cpu_threads(spec.train.threads), torch.random.fork_rng():
        built = _build_checked(spec, development, code)
        make_folder(out)
        with exclusive_lock(out) if first else nullcontext():
            run = begin_run(out, spec, whole, development)
            if run.done is None:
                set_scales(built, development)
                if built.hooks.fit is None:
                    _fit(run, built, development, loggers, callbacks, show_progress, notes)
                else:
                    fit_at_once(run, built, development)
    return replace(run, code=code)


def _wait_for_first_process(out: Path, train: TrainSpec) -> int:
    """Number of this process among those that train the run; all but the first wait until the first has begun it.

    Raises:
        SpecError: this machine does not have what [train] asks for.
        RunError: the first process did not begin the run in time.
    """
    if not (out / "done.json").is_file():
        with quiet_lightning():  # a trainer asks the machine for its devices and tells this process its rank
            make_trainer(train, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    deadline = time.monotonic() + WAIT
    while process_rank() > 0 and not (out / "spec.json").is_file():
        if time.monotonic() > deadline:
            raise RunError(
                f"process {process_rank()} of {train.processes} waited {WAIT:g} s for the first one to begin {out}; see "
                "what that one reports, and that all nodes share the folder"
            )
        time.sleep(0.05)
    return process_rank()


def _build_checked(spec: Spec, development: Dataset, code: OwnCode) -> Method:
    """The method that will be trained, with its first weights, checked before a folder is bound to a mistake."""
    protocol_of(development.task.protocol, development.task.kind)
    environments = len(development.groups(*development.environment)[1])
    torch.manual_seed(derive_seed(spec.seed, -1))
    method = build_method(spec, development.modalities, development.task, code, environments)
    method.hooks.check(development)
    if row_weights(development, spec.train) is not None:
        check_weighs_rows(method)
    if spec.train.balance is not None:
        balanced_cells(development, spec.train)
    if spec.train.averaging is not None:
        check_averaging(spec.train)
    train, rows = spec.train, len(development.splits["train"])
    if rows <= (train.processes - 1) * train.budget.batch_size:
        raise SpecError(
            f"train.devices = {train.devices}, nodes = {train.nodes}: {rows} training rows in batches of "
            f"{train.budget.batch_size} do not give each device one; lower them or train.batch_size"
        )
    return method


def _fit(
    run: Run,
    method: Method,
    data: Dataset,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
    progress: bool,
    notes: Sequence[str],
) -> None:
    train, folder = run.spec.train, run.path / "checkpoints"
    last = folder / "last.safetensors"
    resume = last if last.is_file() else None
    checkpoint = read_checkpoint(last) if resume else {"epoch": -1, "state_dict": {}}
    trained = method if train.averaging is None else AveragedWeights(method, train.averaging)
    if resume:
        put_weights(trained, stored_weights(checkpoint, "method."), run.path, run.spec)
    if not resume:  # predictions of earlier weights must not pass for predictions of these
        shutil.rmtree(run.path / "predictions", ignore_errors=True)
        (run.path / "records.jsonl").unlink(missing_ok=True)
        (run.path / VARIANTS).unlink(missing_ok=True)
    whole = copy.deepcopy(method) if train.strategy == "fsdp" else method  # sharding splits the weights for good
    learner = Learner(trained, data, train, run.spec.seed)
    clock = SessionClock(run.path / ".seconds")
    trainer = make_trainer(
        train,
        logger=[CsvLogger(run.path / "log.csv", checkpoint["epoch"] + 1), *loggers],
        callbacks=[*standard_callbacks(folder, learner, progress), clock, *callbacks],
        plugins=[SafeCheckpointIO()],
        enable_progress_bar=progress,
        default_root_dir=run.path,
    )
    try:
        with bar_on_terminal(progress):
            trainer.fit(learner, ckpt_path=resume)
    except SystemExit as error:  # Lightning ends this way after Ctrl-C
        if trainer.state.status != TrainerStatus.INTERRUPTED:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from error
    if process_rank() == 0:
        clock.lap()
        validate_run(run.path, run.spec, run.checksum, run.load_weights(whole.cpu()), data)
        _finish(run, trainer, learner, clock.total(), whole, notes)
        clock.path.unlink(missing_ok=True)
    trainer.strategy.barrier()  # the other processes read what the first one wrote


def _finish(run: Run, trainer: Trainer, learner: Learner, seconds: float, method: Method, notes: Sequence[str]) -> None:
    train, metrics = run.spec.train, trainer.callback_metrics
    selected, last = (
        read_checkpoint(run.path / "checkpoints" / f"{name}.safetensors")["epoch"] for name in (train.keep, "last")
    )
    best = next((callback for callback in trainer.callbacks if isinstance(callback, KeepBest)), None)  # type: ignore[attr-defined]
    advice = (
        None if best is None else epoch_advice(selected, train.budget.epochs, learner.choice, method.hooks.warm_up())
    )
    if advice is not None:
        warnings.warn(advice, EpochWarning, stacklevel=2)
    done = {
        "epochs": last + 1,
        "steps": trainer.global_step,
        "best_epoch": selected,
        "best_risk": float(metrics[RISK]) if best is None else best.best_risk,
        "score": float(metrics[score_name(train.criterion)]) if best is None else best.choice.best,
        "notes": [*method.hooks.summary_lines(), *notes, *([] if advice is None else [advice])],
        "seconds": round(seconds, 3),
        "parameters": sum(p.numel() for p in method.parameters()),
    }
    write_json(run.path / "done.json", done)
