"""How much a training does by default: epochs, batch, learning rate and patience as functions of the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Preset = Literal["small", "standard", "thorough"]

STEPS = {"small": 500, "standard": 1500, "thorough": 4500}
"""Steps of optimisation that a training has at least, as far as `MOST_EPOCHS` allows."""
FEWEST_EPOCHS = {"small": 10, "standard": 30, "thorough": 60}
MOST_EPOCHS = {"small": 60, "standard": 200, "thorough": 600}


@dataclass(frozen=True)
class Budget:
    """What a training may use.

    Args:
        epochs: the most.
        batch_size: rows per step.
        learning_rate: peak of the schedule.
        patience: epochs without a better one.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int


def default_budget(
    preset: Preset, rows: int, processes: int = 1, *, epochs: int | None = None, batch_size: int | None = None
) -> Budget:
    """The budget for so many training rows.

    Args:
        rows: at least 1.
        processes: that share each step; a step then takes so many batches.
        epochs, batch_size: those that are asked for; the rest follows them.
    """
    size = batch_size or (32 if rows < 1000 else 64)
    steps = math.ceil(rows / (size * processes))
    wanted = math.ceil(STEPS[preset] / steps)
    most = epochs or min(max(wanted, FEWEST_EPOCHS[preset]), MOST_EPOCHS[preset])
    return Budget(most, size, 1e-3, max(15, most // 4))
