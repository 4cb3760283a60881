"""Which epoch is kept and when training ends, as a function of the validation scores so far; and what its place says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from deconfound.method import WarmUp


@dataclass(frozen=True)
class EpochChoice:
    """The state after some epochs.

    An epoch counts by the mean of its own score and those before it, `window` in all. The lowest mean is kept; of equal
    ones the latest. Epochs before `first` do not count at all, in no mean and for no patience.

    Args:
        first: first epoch that counts.
        kept_from: first epoch that may be kept.
        window: number of epochs in a mean.
        patience: epochs without a lower mean before training ends.
        scores: of each epoch so far; lower is better.
        best: the lowest mean; infinite before there is one.
        kept: the epoch that is kept; None before there is one.
        improved: the epoch since when there was no lower mean.
    """

    first: int
    kept_from: int
    window: int
    patience: int
    scores: tuple[float, ...] = ()
    best: float = math.inf
    kept: int | None = None
    improved: int = 0

    @classmethod
    def of(cls, warm_up: WarmUp, epochs: int, window: int, patience: int, *, later: int = 0) -> EpochChoice:
        """Before the first of at most `epochs` epochs.

        Args:
            warm_up: of the method. If it ends after the last epoch, that one is kept.
            later: epochs before which training does not end, for other reasons.
        """
        first = min(warm_up.length(epochs), epochs - 1)
        kept_from = min(first + window - 1, epochs - 1)
        return cls(first, kept_from, window, patience, improved=max(kept_from, later))

    def after(self, score: float) -> EpochChoice:
        """The state after one more epoch."""
        scores = (*self.scores, math.inf if math.isnan(score) else score)
        epoch = len(scores) - 1
        if epoch < self.kept_from:
            return replace(self, scores=scores)
        mean = fmean(scores[max(self.first, epoch + 1 - self.window) :])
        if mean > self.best:
            return replace(self, scores=scores)
        improved = max(self.improved, epoch) if mean < self.best else self.improved
        return replace(self, scores=scores, best=mean, kept=epoch, improved=improved)

    def after_all(self, scores: Iterable[float]) -> EpochChoice:
        """The state after several more epochs."""
        choice = self
        for score in scores:
            choice = choice.after(score)
        return choice

    @property
    def keeps_the_latest(self) -> bool:
        """Whether the latest epoch is the one to keep."""
        return self.kept == len(self.scores) - 1

    @property
    def is_over(self) -> bool:
        """Whether the patience is used up."""
        return len(self.scores) - 1 - self.improved >= self.patience


class EpochWarning(UserWarning):
    """The best epoch is the first or the last one that may be kept, so training was too fast or too short."""


def epoch_advice(best: int, epochs: int, choice: EpochChoice, warm_up: WarmUp) -> str | None:
    """One line where the best epoch lies at an end of the training; None elsewhere, or where one epoch alone may be kept.

    Args:
        best: epoch that is kept, from 0.
        epochs: the most that training was allowed; where early stopping ended it before, the last is not the best.
        choice: which epochs may be kept.
        warm_up: of the method.
    """
    if epochs < 2:
        return None
    needed = warm_up.length(epochs)
    if needed >= epochs:
        return (
            f"training ended before the method's warm-up of {needed} epochs, so the last epoch ({epochs - 1}) is kept and is "
            f"not what the method would become; raise train.epochs (it is {epochs}) or shorten the warm-up"
        )
    if choice.kept_from == epochs - 1:
        return None
    if best == epochs - 1:
        return (
            f"the best epoch is the last one ({best}), so longer training may do better; raise train.epochs "
            f"(it is {epochs}) or train.learning_rate"
        )
    if best == choice.kept_from:
        after = "" if best == 0 else " after the warm-up"
        return (
            f"the best epoch is the first one{after} ({best}), so further training only made validation worse; lower "
            "train.learning_rate, or see whether 'train' and 'valid' are alike"
        )
    return None
