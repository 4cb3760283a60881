"""What the place of the best epoch says about the length of a training."""

from __future__ import annotations

from deconfound.method import WarmUp
from deconfound.training.epoch_choice import EpochChoice


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
