"""How much a training does by default: epochs, batch, rate, patience and window as functions of the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Preset = Literal["small", "standard", "thorough"]

STEPS = {"small": 300, "standard": 1000, "thorough": 3000}
"""Steps of optimisation that a training has at least, as far as `MOST_EPOCHS` allows."""
FEWEST_EPOCHS = {"small": 20, "standard": 60, "thorough": 200}
MOST_EPOCHS = {"small": 80, "standard": 250, "thorough": 750}
FEW_ROWS = 1000
"""Fewer rows than this are taken in batches of half the size."""
LONGEST_WINDOW = 5


@dataclass(frozen=True)
class Budget:
    """What a training may use, and how its epochs are compared.

    Args:
        epochs: the most.
        batch_size: rows per step.
        learning_rate: peak of the schedule.
        patience: epochs without a better one.
        window: epochs whose mean score counts.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    window: int


def default_budget(
    preset: Preset, rows: int, processes: int = 1, *, epochs: int | None = None, batch_size: int | None = None
) -> Budget:
    """The budget for so many training rows.

    Args:
        rows: at least 1.
        processes: that share each step; a step then takes so many batches.
        epochs, batch_size: those that are asked for; the rest follows them.
    """
    size = batch_size or (32 if rows < FEW_ROWS else 64)
    wanted = math.ceil(STEPS[preset] / math.ceil(rows / (size * processes)))
    most = epochs or min(max(wanted, FEWEST_EPOCHS[preset]), MOST_EPOCHS[preset])
    window = min(LONGEST_WINDOW, max(1, most // 12))
    return Budget(most, size, 1e-3, max(15, most // 10), window)
