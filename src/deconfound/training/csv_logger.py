"""`CsvLogger`: the Lightning logger that writes `log.csv` and survives kills and resumes."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers.logger import Logger

from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.runs.csv_log import HEADER, read_log


class CsvLogger(Logger):
    """A Lightning logger that appends `step,epoch,split,term,value` rows.

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
