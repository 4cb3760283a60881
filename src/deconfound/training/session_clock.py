"""The seconds that all sessions of a run took, whichever of them were killed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from deconfound.errors import RunError


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
