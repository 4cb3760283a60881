"""Lightning's trainer as [train] asks for it, with our checkpoints and without advice that is not for users."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.precision import DoublePrecision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import Strategy

from deconfound.errors import SpecError
from deconfound.io.plain_text import unfiltered
from deconfound.runs.spec import TrainSpec
from deconfound.training.best_epoch import EpochChoice
from deconfound.training.learner import RISK, Learner, score_name


class SafeCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback for the files of `SafeCheckpointIO`."""

    FILE_EXTENSION = ".safetensors"

    @cached_property
    def state_key(self) -> str:  # type: ignore[override]
        """Lightning's, built once: it is asked for in every hook of every step."""
        return super().state_key

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Also what Lightning leaves out, so that the files of a resumed run equal those of an uninterrupted one."""
        super().load_state_dict(state_dict)
        self.current_score = state_dict["current_score"]


class Double(DoublePrecision):
    """Lightning's double precision for our frozen batches: the model itself converts what it standardises."""

    def convert_input(self, data: Any) -> Any:
        return data


class NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without a generator for each of the fifty actions of a step."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return _NOTHING


_NOTHING = nullcontext()


def make_trainer(train: TrainSpec, *, plugins: Sequence[Any] = (), **options: Any) -> Trainer:
    """The trainer that [train] asks for; from then on `process_rank` knows the number of this process.

    Raises:
        SpecError: this machine does not have it, or a batch system started another number of processes.
    """
    settings = (
        f"train.accelerator = {train.accelerator!r}, devices = {train.devices}, nodes = {train.nodes}, "
        f"strategy = {train.strategy!r}, precision = {train.precision!r}"
    )
    double = train.precision == "64-true" and train.strategy != "fsdp"
    try:
        trainer = Trainer(
            accelerator=train.accelerator,
            devices=train.devices,
            num_nodes=train.nodes,
            strategy=_strategy(train),
            precision=None if double else train.precision,
            plugins=[*plugins, Double()] if double else list(plugins),
            max_epochs=train.epochs,
            gradient_clip_val=train.clip,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            profiler=NoProfiler(),
            **options,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise SpecError(f"{settings} is not available here ({str(error).splitlines()[0]}); change them") from error
    if trainer.precision != train.precision:
        raise SpecError(f"{settings} is not available here: Lightning would take {trainer.precision!r}; ask for that")
    _check_processes(train, trainer.world_size)
    return trainer


def process_rank() -> int:
    """Number of this process among those that train one run together, from 0; known once a trainer was made."""
    return int(getattr(rank_zero_only, "rank", 0))


def _strategy(train: TrainSpec) -> str | Strategy:
    if train.strategy != "fsdp":
        return train.strategy
    from deconfound.training.fsdp import FullyShardedStrategy  # loads the distributed parts of PyTorch

    return FullyShardedStrategy()


def _check_processes(train: TrainSpec, started: int) -> None:
    if started == train.processes and (started > 1 or process_rank() == 0):
        return
    observed = f"{started} in all" if started != train.processes else f"a second one, number {process_rank()}"
    raise SpecError(
        f"train.devices = {train.devices} and train.nodes = {train.nodes} ask for {train.processes} processes, and the "
        f"batch system started {observed}; with SLURM ask for --nodes={train.nodes} --ntasks-per-node={train.devices} and "
        "start the command with srun, or change train.devices and train.nodes"
    )


class KeepBest(Callback):
    """Writes the weights of the best epoch, as an `EpochChoice` has it, and ends a training that no longer improves.

    Its state, the scores and the risks so far, is in each checkpoint.

    Args:
        path: the file of the best epoch.
        choice: before the first epoch.
        score, risk: logged metrics to read after each validation.
    """

    def __init__(self, path: Path, choice: EpochChoice, score: str, risk: str) -> None:
        self.path, self.choice, self.score, self.risk = path, choice, score, risk
        self.risks: list[float] = []
        self._begun = choice

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self.choice.scores), "risks": list(self.risks)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.choice = self._begun.after_all(state_dict["scores"])
        self.risks = list(state_dict["risks"])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A run that was killed after its last epoch does not train another."""
        state = checkpoint["callbacks"].get(self.state_key, {"scores": []})
        trainer.should_stop = bool(state["scores"]) and self._begun.after_all(state["scores"]).is_over

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.choice = self.choice.after(float(trainer.callback_metrics[self.score]))
        self.risks.append(float(trainer.callback_metrics[self.risk]))
        if self.choice.keeps_the_latest:
            trainer.save_checkpoint(self.path, weights_only=True)
        if self.choice.is_over:
            trainer.should_stop = True

    @property
    def best_risk(self) -> float:
        """The validation risk of the epoch that is kept."""
        assert self.choice.kept is not None, "no epoch was validated"
        return self.risks[self.choice.kept]


def standard_callbacks(folder: Path, learner: Learner, progress: bool) -> list[Callback]:
    """Checkpoints of the last epoch and, if `train.keep` is "best", of the best one with early stopping; a progress bar."""
    last = SafeCheckpoint(
        folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True, every_n_epochs=1
    )
    selection: list[Callback] = []
    if learner.train_spec.keep == "best":
        score = score_name(learner.train_spec.criterion)
        selection = [KeepBest(folder / "best.safetensors", learner.choice, score, RISK)]
    return [*selection, last, *([TQDMProgressBar()] if progress else [])]


@contextmanager
def bar_on_terminal(progress: bool) -> Iterator[None]:
    """Let Lightning's bar move the cursor: it writes numbers and names of this program alone, so no filter is needed."""
    with redirect_stdout(unfiltered(sys.stdout)) if progress else nullcontext():
        yield


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hide Lightning's advice about workers and hardware, which is not for our users; warnings about numbers stay."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch", "lightning.fabric")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*The dirpath has changed.*")
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen layers are
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings(
            "ignore", message=".*AMP with fp16 is not supported on CPU.*"
        )  # refused by `make_trainer`
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
