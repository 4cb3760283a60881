"""Setting up the training engine: what [train] asks for, our checkpoints, and silence where its advice is not for users."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.precision import DoublePrecision
from lightning.pytorch.strategies import Strategy

from deconfound.errors import SpecError
from deconfound.runs.spec import TrainSpec
from deconfound.training.learner import SELECTION


class SafeCheckpoint(ModelCheckpoint):
    """The engine's checkpoint callback for the files of `SafeCheckpointIO`."""

    FILE_EXTENSION = ".safetensors"


class Double(DoublePrecision):
    """The engine's double precision for our batches, which are frozen: the model itself converts what it standardises."""

    def convert_input(self, data: Any) -> Any:
        return data


def make_trainer(train: TrainSpec, *, plugins: Sequence[Any] = (), **given: Any) -> Trainer:
    """The training engine for what [train] asks for; from then on `rank` knows the number of this process.

    Raises:
        SpecError: this machine does not have it, or a batch system began another number of processes.
    """
    asked = (
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
            **given,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise SpecError(f"{asked} cannot be had here ({str(error).splitlines()[0]}); change them") from error
    if trainer.precision != train.precision:
        raise SpecError(f"{asked} cannot be had here: the engine would take {trainer.precision!r}; ask for that")
    _check_processes(train, trainer.world_size)
    return trainer


def process_rank() -> int:
    """Number of this process among those that train one run together, from 0; of several, known once there is an engine."""
    return int(getattr(rank_zero_only, "rank", 0))


def _strategy(train: TrainSpec) -> str | Strategy:
    if train.strategy != "fsdp":
        return train.strategy
    from deconfound.training.fsdp import Sharded  # loads the distributed parts of PyTorch

    return Sharded()


def _check_processes(train: TrainSpec, begun: int) -> None:
    if begun == train.processes and (begun > 1 or process_rank() == 0):
        return
    found = f"{begun} in all" if begun != train.processes else f"this one beside it, number {process_rank()}"
    raise SpecError(
        f"train.devices = {train.devices} and train.nodes = {train.nodes} ask for {train.processes} processes, and the "
        f"batch system began {found}; with SLURM ask for --nodes={train.nodes} --ntasks-per-node={train.devices} and "
        "begin the command with srun, or change train.devices and train.nodes"
    )


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that a resumed run remembers: one that was killed after its last epoch does not train another."""

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["callbacks"].get(self.state_key, {})
        trainer.should_stop = state.get("wait_count", 0) >= self.patience


def standard_callbacks(folder: Path, train: TrainSpec, progress: bool) -> list[Callback]:
    """Checkpoints of the epoch that is kept and of the last one, early stopping if the best is kept, a progress bar."""

    shared = {"dirpath": folder, "enable_version_counter": False}
    last = SafeCheckpoint(**shared, filename="last", save_on_train_epoch_end=True, every_n_epochs=1)
    kept: list[Callback] = []
    if train.keep == "best":
        kept = [
            SafeCheckpoint(**shared, filename="best", monitor=SELECTION, mode="min", save_weights_only=True),
            ResumableEarlyStopping(monitor=SELECTION, mode="min", patience=train.patience, check_finite=False),
        ]
    return [*kept, last, *([TQDMProgressBar()] if progress else [])]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """The engine's advice about workers and hardware is not for our users; its warnings about numbers stay."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch", "lightning.fabric")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*The dirpath has changed.*")
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", message=".*AMP with fp16 is not supported on CPU.*")  # refused by `engine`
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
