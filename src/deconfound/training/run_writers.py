"""What Lightning calls to keep a run on disk: its checkpoints, its log, and the seconds that training took."""

from __future__ import annotations

import csv
import math
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger

from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.runs.checkpoint import read_checkpoint, write_checkpoint
from deconfound.runs.csv_log import HEADER, read_log


class SafeCheckpointIO(CheckpointIO):
    """Lightning's reader and writer of checkpoints, replaced by `write_checkpoint` and `read_checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class CsvLogger(Logger):
    """A Lightning logger that appends `step,epoch,split,term,value` rows to `log.csv` and survives kills and resumes.

    Args:
        path: the CSV file; rows of epoch `keep_epochs` and later are dropped, because these epochs will be trained again.
        keep_epochs: number of finished epochs in the checkpoint to resume from.
    """

    def __init__(self, path: Path, keep_epochs: int = 0) -> None:
        super().__init__()
        self.path = path
        finished = [row for row in read_log(path) if row["epoch"] < keep_epochs] if path.is_file() else []
        lines = [",".join(HEADER)] + [",".join(str(row[name]) for name in HEADER) for row in finished]
        with atomic_write(path) as file:
            file.write("\n".join(lines) + "\n")

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> Path:
        return self.path

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run directory holds the specification; nothing to write here."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", 0))
        rows = [
            (step, epoch, *name.split("/", 1), repr(float(value))) for name, value in metrics.items() if "/" in name
        ]
        try:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; free space and run again to resume") from error


class SessionClock(Callback):
    """Appends the seconds since the last line to a file, after every epoch and where training stops.

    A kill loses the seconds of the epoch that it ends. Only the first of several processes writes.

    Args:
        path: file of one number per line; made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._since = path, time.monotonic()

    def lap(self) -> None:
        """Append the seconds since the last call, or since this object was made.

        Raises:
            RunError: the file cannot be written.
        """
        now = time.monotonic()
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"\n{now - self._since:.6f}\n")  # a line that a kill cut short ends here
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; free space and run again to resume") from error
        self._since = now

    def total(self) -> float:
        """Sum of all lines; what is not a number does not count.

        Raises:
            RunError: the file cannot be read.
        """
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror}; delete it and run again") from error
        total = 0.0
        for line in lines:
            with suppress(ValueError):
                seconds = float(line)
                total += seconds if math.isfinite(seconds) and seconds > 0 else 0.0
        return total

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.lap()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero:
            with suppress(RunError):  # the exception is what the user must hear of
                self.lap()
