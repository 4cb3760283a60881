"""`SafeCheckpointIO`: Lightning reads and writes the checkpoints of `runs.checkpoint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from deconfound.runs.checkpoint import read_checkpoint, write_checkpoint


class SafeCheckpointIO(CheckpointIO):
    """Lightning's reader and writer of checkpoints, replaced by `write_checkpoint` and `read_checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
