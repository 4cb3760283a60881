"""Intervals and sets of predicted rows as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deconfound.data.task import Task
from deconfound.scoring.conformal import Conformal, intervals, prediction_sets


@dataclass(frozen=True)
class Region:
    """What makes intervals or sets of the rows of one source, in their order.

    Args:
        conformal: thresholds.
        groups: the group of every row; None for the common threshold.
    """

    conformal: Conformal
    groups: Sequence[str] | None = None

    def ends(self, output: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        """(B,) lower and upper ends for (B, 1) predictions of the rows from number `start`."""
        return intervals(output, self._thresholds(len(output), start))

    def sets(self, output: np.ndarray, start: int) -> np.ndarray:
        """(B, C) bool for (B, C) logits of the rows from number `start`."""
        return prediction_sets(output, self._thresholds(len(output), start))

    def _thresholds(self, count: int, start: int) -> np.ndarray:
        groups = None if self.groups is None else self.groups[start : start + count]
        return self.conformal.of(groups, count)


def region_columns(task: Task) -> list[str]:
    """Names of the columns: the ends of the interval, or whether each class is in the set."""
    return ["low", "high"] if task.kind == "regression" else [f"in_{name}" for name in task.classes]


def region_rows(
    region: Region, output: np.ndarray, task: Task, start: int
) -> Iterator[tuple[list[object], dict[str, object]]]:
    """For each row the values of `region_columns`, and the same as part of a JSON line.

    Args:
        output: (B, outputs) predictions or logits.
        start: number of the first row in its source.
    """
    if task.kind == "regression":
        for low, high in zip(*region.ends(output, start), strict=True):
            ends = [float(f"{low:.7g}"), float(f"{high:.7g}")]
            yield [*ends], {"interval": ends}
        return
    for row in region.sets(output, start):
        yield (
            [int(inside) for inside in row],
            {"set": [name for name, inside in zip(task.classes, row, strict=True) if inside]},
        )
